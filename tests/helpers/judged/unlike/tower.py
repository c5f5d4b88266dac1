"""Three recurrent floors, each added to what comes in: y = x + tanh(x A + h B). Softmax over classes at the top."""
import numpy as np


def build(floors, width, classes):
    P = {}
    for l in range(floors):
        P[f"A{l}"] = np.random.randn(width, width) * 0.6
        P[f"B{l}"] = np.random.randn(width, width) * 0.6
    P["head"] = np.random.randn(width, classes)
    return P


def climb(P, seq, labels):
    floors = (len(P) - 1) // 2
    h = [np.zeros(seq[0].shape)] * floors
    diary, loss = [], 0
    for x, lab in zip(seq, labels):
        page = []
        for l in range(floors):
            old = h[l]
            h[l] = np.tanh(x @ P[f"A{l}"] + old @ P[f"B{l}"])
            page.append((x, old, h[l]))
            x = x + h[l]
        s = x @ P["head"]
        p = np.exp(s) / np.exp(s).sum(-1, keepdims=True)
        loss += -(lab * np.log(p + 1e-9)).sum()
        diary.append((page, x, p))
    return loss, diary


def fall(P, diary, labels):
    floors = (len(P) - 1) // 2
    G = {k: np.zeros(v.shape) for k, v in P.items()}
    back = [0] * floors
    for (page, top, p), lab in zip(diary[::-1], labels[::-1]):
        ds = p - lab
        G["head"] += top.T @ ds
        dx = ds @ P["head"].T
        for l in range(floors)[::-1]:
            x, old, new = page[l]
            da = (dx + back[l]) * (1 - new * new)
            G[f"A{l}"] += x.T @ da
            G[f"B{l}"] += old.T @ da
            back[l] = da @ P[f"B{l}"].T
            dx = dx + da @ P[f"A{l}"].T
    return G
