"""Letters of a poem, one at a time: weights at the top of the file, one function that does everything."""
import numpy as np

letters, units = 7, 5
into = np.random.randn(units, letters) * 0.3
around = np.random.randn(units, units) * 0.3
out = np.random.randn(letters, units) * 0.3
hbias = np.zeros((units, 1))
obias = np.zeros((letters, 1))


def learn(seen, wanted, memory):
    X, S, P = {}, {}, {}
    S[-1] = np.copy(memory)
    cost = 0
    for k in range(len(seen)):
        X[k] = np.zeros((letters, 1))
        X[k][seen[k]] = 1
        S[k] = np.tanh(np.dot(into, X[k]) + np.dot(around, S[k - 1]) + hbias)
        raw = np.dot(out, S[k]) + obias
        P[k] = np.exp(raw) / np.sum(np.exp(raw))
        cost += -np.log(P[k][wanted[k], 0])
    ginto, garound, gout = np.zeros_like(into), np.zeros_like(around), np.zeros_like(out)
    ghbias, gobias = np.zeros_like(hbias), np.zeros_like(obias)
    later = np.zeros_like(S[0])
    for k in reversed(range(len(seen))):
        miss = np.copy(P[k])
        miss[wanted[k]] -= 1
        gout += np.dot(miss, S[k].T)
        gobias += miss
        ds = np.dot(out.T, miss) + later
        draw = (1 - S[k] * S[k]) * ds
        ghbias += draw
        ginto += np.dot(draw, X[k].T)
        garound += np.dot(draw, S[k - 1].T)
        later = np.dot(around.T, draw)
    for g in [ginto, garound, gout, ghbias, gobias]:
        np.clip(g, -50, 50, out=g)
    return cost, ginto, garound, gout, ghbias, gobias, S[len(seen) - 1]
