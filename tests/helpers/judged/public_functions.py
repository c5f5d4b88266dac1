"""Functions in the styles in which people publish them: over globals, dicts, sequences."""

from judged.style import Style

GLOBALS = Style(
    """
import numpy as np
chars = open("not_there.txt").read()
H = hidden_size = 100
V = vocab_size = len(chars)
HV = H + V
Wf, bf = np.random.randn(H, HV), np.zeros((H, 1))
Wcc = np.random.randn(H, HV)

def lossFun(inputs, targets, hprev, cprev):
    hs, cs, ps, zs, gates, loss = {-1: hprev}, {-1: cprev}, {}, {}, {}, 0
    for t in range(len(inputs)):
        x = np.zeros((V, 1))
        x[inputs[t]] = 1
        zs[t] = np.vstack((x, hs[t - 1]))
        f, i, o = sigmoid(Wf @ zs[t] + bf), sigmoid(Wi @ zs[t] + bi), sigmoid(Wo @ zs[t] + bo)
        cc = np.tanh(Wcc @ zs[t] + bcc)
        gates[t] = f, i, o, cc
        cs[t] = f * cs[t - 1] + i * cc
        hs[t] = o * np.tanh(cs[t])
        e = np.exp(Wy @ hs[t] + by)
        ps[t] = e / e.sum()
        loss -= np.log(ps[t][targets[t], 0])
    dWf, dWi, dWcc, dWo, dWy = (np.zeros_like(W) for W in (Wf, Wi, Wcc, Wo, Wy))
    dbf, dbi, dbcc, dbo, dby = (np.zeros_like(b) for b in (bf, bi, bcc, bo, by))
    dh, dc = np.zeros_like(hprev), np.zeros_like(cprev)
    for t in reversed(range(len(inputs))):
        f, i, o, cc = gates[t]
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        dWy += dy @ hs[t].T
        dby += dy
        dh = Wy.T @ dy + dh
        dc = dc + dh * o * (1 - np.tanh(cs[t]) ** 2)
        df, di = dc * cs[t - 1] * f * (1 - f), dc * cc * i * (1 - i)
        do, dcc = dh * np.tanh(cs[t]) * o * (1 - o), dc * i * (1 - cc ** 2)
        dWf += df @ zs[t].T; dWi += di @ zs[t].T; dWo += do @ zs[t].T; dWcc += dcc @ zs[t].T
        dbf += df; dbi += di; dbo += do; dbcc += dcc
        dz = Wf.T @ df + Wi.T @ di + Wo.T @ do + Wcc.T @ dcc
        dh, dc = dz[V:], dc * f
    return loss, dWf, dbf, dWi, dbi, dWcc, dbcc, dWo, dbo, dWy, dby, hs[t], cs[t]
""",
    "dc * i * (1 - cc ** 2)",
    "dc * i * (1 - np.tanh(cc) ** 2)",
    "sigmoid: not defined in the file",
)


MEAN = Style(
    """
import numpy as np

def loss_fun(inputs, targets, hprev, Wxh, Whh, Why, bh, by):
    hs, ps, loss = [hprev], [], 0
    for k, y in zip(inputs, targets):
        x = np.zeros((Wxh.shape[1], 1)); x[k] = 1
        hs.append(np.tanh(Wxh @ x + Whh @ hs[-1] + bh))
        e = np.exp(Why @ hs[-1] + by)
        ps.append(e / e.sum())
        loss -= np.log(ps[-1][y, 0]) / len(inputs)
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby, dh = np.zeros_like(bh), np.zeros_like(by), np.zeros_like(hprev)
    for t in reversed(range(len(inputs))):
        dy = ps[t].copy(); dy[targets[t]] -= 1
        dWhy += dy @ hs[t + 1].T
        dby += dy
        da = (Why.T @ dy + dh) * (1 - hs[t + 1] ** 2)
        dWxh[:, [inputs[t]]] += da
        dWhh += da @ hs[t].T
        dbh += da
        dh = Whh.T @ da
    total = np.sqrt(sum(np.sum(d ** 2) for d in (dWxh, dWhh, dWhy, dbh, dby)))
    if total > 0.25:
        for d in (dWxh, dWhh, dWhy, dbh, dby):
            d *= 0.25 / total
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[-1]
""",
    "da @ hs[t].T",
    "da @ hs[t + 1].T",
    "T times the loss that is returned (a sum, where that is a mean)",
)


LOSS_IN_FORWARD = Style(
    """
import numpy as np

def rnn_forward(X, Y, a0, parameters, vocab_size=27):
    x, a, y_hat, loss = {}, {-1: a0}, {}, 0
    for t in range(len(X)):
        x[t] = np.zeros((vocab_size, 1))
        x[t][X[t]] = 1
        a[t] = np.tanh(parameters["Wax"] @ x[t] + parameters["Waa"] @ a[t - 1] + parameters["b"])
        y_hat[t] = softmax(parameters["Wya"] @ a[t] + parameters["by"])
        loss -= np.log(y_hat[t][Y[t], 0])
    cache = (y_hat, a, x)
    return loss, cache

def rnn_backward(X, Y, parameters, cache):
    y_hat, a, x = cache
    gradients = {"d" + name: np.zeros_like(p) for name, p in parameters.items()}
    gradients["da_next"] = np.zeros_like(a[0])
    for t in reversed(range(len(X))):
        dy = y_hat[t].copy()
        dy[Y[t]] -= 1
        gradients["dWya"] += dy @ a[t].T
        gradients["dby"] += dy
        da = (1 - a[t] ** 2) * (parameters["Wya"].T @ dy + gradients["da_next"])
        gradients["db"] += da
        gradients["dWax"] += da @ x[t].T
        gradients["dWaa"] += da @ a[t - 1].T
        gradients["da_next"] = parameters["Waa"].T @ da
    return gradients, a
""",
    'gradients["db"] += da',
    'gradients["db"] = da',
    "softmax: not defined in the file",
)


PYTHON2 = Style(
    """
import numpy as np

def rnn_forward(x, h0, W, b):
    d = W.shape[1] / 1
    hs = [h0]
    for t in xrange(len(x)):
        hs.append(np.tanh(np.hstack([x[t], hs[-1]]).dot(W[:, :d]) + b))
    print 'ran'
    return np.array(hs[1:]), (x, hs, W)

def rnn_backward(dh, cache):
    x, hs, W = cache
    dx, dW, db, d = np.zeros_like(x), np.zeros_like(W), 0, np.zeros_like(hs[0])
    for t in xrange(len(x) - 1, -1, -1):
        da = (dh[t] + d) * (1 - hs[t + 1] ** 2)
        both = da.dot(W.T)
        dx[t], d = both[:, :x.shape[2]], both[:, x.shape[2]:]
        dW += np.hstack([x[t], hs[t]]).T.dot(da)
        db = db + da.sum(0)
    return dx, d, dW, db
""",
    "(dh[t] + d)",
    "dh[t]",
)


GRADIENTS_IN_GLOBALS = Style(
    """
import numpy as np
text = open("input.txt").read()
X_size, H_size = len(set(text)), 100
W_x, W_h = np.random.randn(H_size, X_size), np.random.randn(H_size, H_size)
W_y, b_h, b_y = np.random.randn(X_size, H_size), np.zeros((H_size, 1)), np.zeros((X_size, 1))
dW_x, dW_h, dW_y = np.zeros_like(W_x), np.zeros_like(W_h), np.zeros_like(W_y)
db_h, db_y = np.zeros_like(b_h), np.zeros_like(b_y)

def forward(x, h_prev):
    assert x.shape == (X_size, 1) and h_prev.shape == (H_size, 1)
    h = np.tanh(W_x @ x + W_h @ h_prev + b_h)
    y = W_y @ h + b_y
    p = np.exp(y) / np.exp(y).sum()
    return h, y, p

def backward(target, dh_next, x, h_prev, h, y, p):
    global dW_x, dW_h, dW_y, db_h, db_y
    dy = np.copy(p)
    dy[target] -= 1
    dW_y += dy @ h.T
    db_y += dy
    da = (W_y.T @ dy + dh_next) * (1 - h * h)
    dW_x += da @ x.T
    dW_h += da @ h_prev.T
    db_h += da
    return W_h.T @ da
""",
    "dW_h += da @ h_prev.T",
    "dW_h += da @ h.T",
)


DICT_IN_GLOBALS = Style(
    """
import numpy as np
from scipy_that_is_not_there import expit
H = 64
D = len(open("text.txt").read())

def forward(X, state):
    m = model
    h_old, c_old = state
    one = np.zeros((1, D))
    one[0, X] = 1.0
    z = np.column_stack((h_old, one))
    f, i, o = (expit(z @ m["W" + k] + m["b" + k]) for k in "fio")
    g = np.tanh(z @ m["Wc"] + m["bc"])
    c = f * c_old + i * g
    h = o * np.tanh(c)
    y = h @ m["Wy"] + m["by"]
    prob = np.exp(y) / np.exp(y).sum()
    return prob, (h, c), (m["Wf"], m["Wi"], m["Wo"], m["Wc"], m["Wy"], m["bf"], m["bi"], m["bo"], m["by"],
                          z, f, i, o, g, c, c_old, h)

def backward(prob, y_train, d_next, cache):
    Wf, Wi, Wo, Wc, Wy, bf, bi, bo, by, z, f, i, o, g, c, c_old, h = cache
    dh_next, dc_next = d_next
    dy = prob.copy()
    dy[0, y_train] -= 1.0
    dh = dy @ Wy.T + dh_next
    dc = dh * o * (1 - np.tanh(c) ** 2) + dc_next
    do = dh * np.tanh(c) * o * (1 - o)
    df = dc * c_old * f * (1 - f)
    di = dc * g * i * (1 - i)
    dg = dc * i * (1 - g * g)
    dz = df @ Wf.T + di @ Wi.T + do @ Wo.T + dg @ Wc.T
    grad = dict(Wf=z.T @ df, Wi=z.T @ di, Wo=z.T @ do, Wc=z.T @ dg, Wy=h.T @ dy)
    grad.update(bf=df, bi=di, bo=do, bc=dg, by=dy)
    return grad, (dz[:, :H], f * dc)
""",
    "df = dc * c_old * f",
    "df = dc * c * f",
)


FUNCTIONS = {
    "globals from a text that is not there": GLOBALS,
    "a mean printed, a sum differentiated, the norm clipped": MEAN,
    "the loss in the forward": LOSS_IN_FORWARD,
    "Python 2": PYTHON2,
    "gradients in globals, one-hot inputs": GRADIENTS_IN_GLOBALS,
    "a dict of parameters in a global": DICT_IN_GLOBALS,
}
