"""Sequences of unlike lengths, padded: a state waits where its sequence is over. Mean loss over real tokens."""
import numpy as np


def init(vocab, dim, hid, rng=np.random):
    return dict(
        emb=rng.randn(vocab, dim), win=rng.randn(dim, hid), wrec=rng.randn(hid, hid), b=rng.randn(hid),
        wout=rng.randn(hid, vocab), bout=rng.randn(vocab),
    )  # fmt: skip


def loss_and_grad(p, tokens, labels, lens):
    N, T = tokens.shape
    real = (np.arange(T)[None, :] < np.asarray(lens)[:, None]).astype(float)
    count = real.sum()
    h = np.zeros((N, len(p["b"])))
    tape, loss = [], 0.0
    for t in range(T):
        m = real[:, t:t + 1]
        e = p["emb"][tokens[:, t]]
        cand = np.tanh(e @ p["win"] + h @ p["wrec"] + p["b"])
        new = m * cand + (1 - m) * h
        logits = new @ p["wout"] + p["bout"]
        logits = logits - logits.max(1, keepdims=True)
        logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        loss -= (logp[np.arange(N), labels[:, t]] * m[:, 0]).sum() / count
        tape.append((m, e, h, cand, new, np.exp(logp)))
        h = new
    g = {k: np.zeros_like(v) for k, v in p.items()}
    dh = np.zeros_like(h)
    for t in range(T)[::-1]:
        m, e, h, cand, new, prob = tape[t]
        prob[np.arange(N), labels[:, t]] -= 1.0
        dlog = prob * m / count
        g["wout"] += new.T @ dlog
        g["bout"] += dlog.sum(0)
        dnew = dlog @ p["wout"].T + dh
        dpre = dnew * m * (1 - cand**2)
        g["win"] += e.T @ dpre
        g["wrec"] += h.T @ dpre
        g["b"] += dpre.sum(0)
        np.add.at(g["emb"], tokens[:, t], dpre @ p["win"].T)
        dh = dnew * (1 - m) + dpre @ p["wrec"].T
    return loss, g
