"""Backward passes as people write them by hand, as text; see `written`."""

RNN = """
def forward(x, h0, Wx, Wh, b):
    h, cache, hs = h0, [], []
    for t in range(len(x)):
        h_prev = h
        a = x[t] @ Wx + h_prev @ Wh + b
        h = np.tanh(a)
        cache.append((x[t], h_prev, a, h))
        hs.append(h)
    return np.stack(hs), h, cache

def backward(dhs, dh_last, cache, Wx, Wh, b):
    T, N = dhs.shape[:2]
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dx, dh_next = [None] * T, dh_last
    for t in reversed(range(T)):
        x, h_prev, a, h = cache[t]
        dh = dhs[t] + dh_next
        da = dh * (1 - h ** 2)
        dWx += x.T @ da
        dWh += h_prev.T @ da
        db += da.sum(0)
        dx[t] = da @ Wx.T
        dh_next = da @ Wh.T
    return np.stack(dx), dh_next, dWx, dWh, db
"""

LSTM = """
def forward(x, h0, c0, Wx, Wh, b):
    H = h0.shape[1]
    h, c, cache, hs = h0, c0, [], []
    for t in range(len(x)):
        h_prev, c_prev = h, c
        a = x[t] @ Wx + h_prev @ Wh + b
        ORDER = a[:, :H], a[:, H:2*H], a[:, 2*H:3*H], a[:, 3*H:]
        i, f, o, g = sigmoid(ai), sigmoid(af), sigmoid(ao), np.tanh(ag)
        c = f * c_prev + i * g
        tc = np.tanh(c)
        h = o * tc
        cache.append((x[t], h_prev, c_prev, ai, af, ao, ag, i, f, o, g, c, tc, h))
        hs.append(h)
    return np.stack(hs), h, c, cache

def backward(dhs, dh_last, dc_last, cache, Wx, Wh, b):
    T, N = dhs.shape[:2]
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dx, dh_next, dc_next = [None] * T, dh_last, dc_last
    for t in reversed(range(T)):
        x, h_prev, c_prev, ai, af, ao, ag, i, f, o, g, c, tc, h = cache[t]
        dy = dhs[t]
        dh = dy + dh_next
        do = dh * tc
        dc = dc_next + dh * o * (1 - tc ** 2)
        df = dc * c_prev
        di = dc * g
        dg = dc * i
        dc_next = dc * f
        dai = di * i * (1 - i)
        daf = df * f * (1 - f)
        dao = do * o * (1 - o)
        dag = dg * (1 - g ** 2)
        da = np.hstack([DELTAS])
        dWx += x.T @ da
        dWh += h_prev.T @ da
        db += da.sum(0)
        dx[t] = da @ Wx.T
        dh_next = da @ Wh.T
    return np.stack(dx), dh_next, dc_next, dWx, dWh, db
"""

GRU = """
def forward(x, h0, Wx, Wh, b):
    H = h0.shape[1]
    h, cache, hs = h0, [], []
    for t in range(len(x)):
        h_prev = h
        ORDER = np.split(x[t] @ Wx + b, 3, axis=1)
        RECUR = np.split(Wh, 3, axis=1)
        r, z = sigmoid(ar + h_prev @ Ur), sigmoid(az + h_prev @ Uz)
        q = r * h_prev
        n = np.tanh(an + q @ Un)
        h = z * h_prev + (1 - z) * n
        cache.append((x[t], h_prev, r, z, n, q, Ur, Uz, Un, h))
        hs.append(h)
    return np.stack(hs), h, cache

def backward(dhs, dh_last, cache, Wx, Wh, b):
    T, N = dhs.shape[:2]
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dx, dh_next = [None] * T, dh_last
    for t in reversed(range(T)):
        x, h_prev, r, z, n, q, Ur, Uz, Un, h = cache[t]
        dy = dhs[t]
        dh = dy + dh_next
        dz = dh * h_prev - dh * n
        dn = dh * (1 - z)
        dan = dn * (1 - n ** 2)
        dq = dan @ Un.T
        dr = dq * h_prev
        dar = dr * r * (1 - r)
        daz = dz * z * (1 - z)
        da = np.hstack([DELTAS])
        dUr = h_prev.T @ dar
        dUz = h_prev.T @ daz
        dUn = q.T @ dan
        dWx += x.T @ da
        dWh += np.hstack([PRODUCTS])
        db += da.sum(0)
        dx[t] = da @ Wx.T
        dh_next = dh * z + dq * r + dar @ Ur.T + daz @ Uz.T
    return np.stack(dx), dh_next, dWx, dWh, db
"""

GRU_AFTER = """
def forward(x, h0, Wx, Wh, b, bh):
    H = h0.shape[1]
    h, cache, hs = h0, [], []
    for t in range(len(x)):
        h_prev = h
        ORDER = np.split(x[t] @ Wx + b, 3, axis=1)
        PARTS = np.split(h_prev @ Wh + bh, 3, axis=1)
        r, z = sigmoid(ar + mr), sigmoid(az + mz)
        n = np.tanh(an + r * mn)
        h = (1 - z) * h_prev + z * n
        cache.append((x[t], h_prev, r, z, n, mn, h))
        hs.append(h)
    return np.stack(hs), h, cache

def backward(dhs, dh_last, cache, Wx, Wh, b, bh):
    T, N = dhs.shape[:2]
    dWx, dWh, db, dbh = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b), np.zeros_like(bh)
    dx, dh_next = [None] * T, dh_last
    for t in reversed(range(T)):
        x, h_prev, r, z, n, mn, h = cache[t]
        dy = dhs[t]
        dh = dy + dh_next
        dz = dh * n - dh * h_prev
        dn = dh * z
        dan = dn * (1 - n ** 2)
        dmn = dan * r
        dr = dan * mn
        dar = dr * r * (1 - r)
        daz = dz * z * (1 - z)
        da = np.hstack([DELTAS])
        dm = np.hstack([RECURRENT])
        dWx += x.T @ da
        dWh += h_prev.T @ dm
        db += da.sum(0)
        dbh += dm.sum(0)
        dx[t] = da @ Wx.T
        dh_next = dh * (1 - z) + dm @ Wh.T
    return np.stack(dx), dh_next, dWx, dWh, db, dbh
"""

CHUNK = """
def chunk(inputs, targets, h, Wxh, Whh, Why, bh, by):
    xs, hs, ps, loss = {}, {-1: h}, {}, 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((Wxh.shape[1], 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1] + bh)
        y = Why @ hs[t] + by
        ps[t] = np.exp(y) / np.exp(y).sum()
        loss = loss - np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby, dh_next = np.zeros_like(bh), np.zeros_like(by), np.zeros_like(h)
    for t in reversed(range(len(inputs))):
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        dWhy += dy @ hs[t].T
        dby += dy
        dh = Why.T @ dy + dh_next
        da = (1 - hs[t] ** 2) * dh
        dbh += da
        dWxh += da @ xs[t].T
        dWhh += da @ hs[t - 1].T
        dh_next = Whh.T @ da
    return loss, {"Wxh": dWxh, "Whh": dWhh, "Why": dWhy, "bh": dbh, "by": dby, "h": dh_next}
"""
