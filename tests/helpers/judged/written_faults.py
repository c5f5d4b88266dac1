"""Faults to plant in `written_texts`: text, what stands in its place, and the fault's id.

Ids with a bar between: the first, or the second where only that is there (one step, two biases).
"""

RNN_FAULTS = {
    "dh = dhs[t] + dh_next": {
        "dh = dhs[t]": "dh-without-dh-next",
        "dh = 2 * (dhs[t] + dh_next)": "dh-times-2",
        "dh = dh_next": "dh-without-dy|all-zero",
        "dh = dhs[t] - dh_next": "dh-minus-dh-next",
    },
    "da = dh * (1 - h ** 2)": {
        "da = dh * (1 - cache[min(t + 1, T - 1)][3] ** 2)": "da-derivative-step-later",
        "da = dh * (1 - cache[max(t - 1, 0)][3] ** 2)": "da-derivative-step-earlier",
        "da = dh * (1 + h ** 2)": "da-plus",
        "da = dh / (1 - h ** 2)": "da-inverse",
        "da = dh * (1 - h)": "da-1-value",
        "da = dh * h * (1 - h)": "da-sigmoid-derivative",
        "da = dh * (1 - np.tanh(h) ** 2)": "da-derivative-of-output",
        "da = dh * (1 - a ** 2)": "da-derivative-of-input",
        "da = dh * (1 - h_prev ** 2)": "da-derivative-of-h-prev",
        "da = dh": "da-without-derivative",
        "da = dh * (1 - h ** 2) ** 2": "da-derivative-twice",
    },
    "dWx += x.T @ da": {
        "dWx = x.T @ da": "dw-first-only-step",
        "dWx -= x.T @ da": "dw-negated",
        "dWx += x.T @ da / T": "dw-divided-by-t",
        "dWx += x.T @ dh": "dw-dh-for-da",
    },
    "dWh += h_prev.T @ da": {
        "dWh += h.T @ da": "du-h-for-h-prev",
        "dWh = h_prev.T @ da": "du-first-only-step",
        "dWh += 2 * h_prev.T @ da": "du-times-2",
    },
    "db += da.sum(0)": {
        "db += da.mean(0)": "db-divided-by-n",
        "db = da.sum(0)": "db-first-only-step",
        "db += dh.sum(0)": "db-dh-for-da",
        "db += 0": "db-zero",
    },
    "dx[t] = da @ Wx.T": {
        "dx[t] = da @ Wx.T if t else 0 * x": "dx-but-the-first-step|dx-zero",
        "dx[t] = -da @ Wx.T": "dx-negated",
        "dx[t] = dh @ Wx.T": "dx-dh-for-da",
    },
    "dh_next = da @ Wh.T": {
        "dh_next = da @ Wh": "dh-prev-u-untransposed",
        "dh_next = dh @ Wh.T": "dh-prev-dh-for-da",
        "dh_next = dh_next + da @ Wh.T": "dh-prev-accumulated",
        "dh_next = 0 * dh": "dh-prev-zero",
    },
    "dh_next = [None] * T, dh_last": {"dh_next = [None] * T, 0 * dh_last": "dh-last-zero"},
    "return np.stack(dx), dh_next": {"return np.stack(dx), 0 * dh_next": "dh0-zero"},
    "dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)": {
        "dWx, dWh, db = Wx.copy(), Wh.copy(), b.copy()": "weights-seeded-from-parameters"
    },
    "for t in reversed(range(T))": {"for t in range(T)": "time-forward"},
    "return np.stack(dx), dh_next, dWx, dWh, db": {
        "return np.stack(dx), dh_next, dWx * T, dWh * T, db * T": "weights-times-t",
        "return np.stack(dx), dh_next, dWx / T, dWh / T, db / T": "weights-divided-by-t",
        "return np.stack(dx) / T, dh_next / T, dWx / T, dWh / T, db / T": "all-divided-by-t",
        "return 0 * np.stack(dx), 0 * dh_next, 0 * dWx, 0 * dWh, 0 * db": "all-zero",
    },
}

LSTM_FAULTS = {
    "dh = dy + dh_next": {"dh = dy": "dh-without-dh-next"},
    "do = dh * tc": {
        "do = dh * c": "do-c-for-tanh-c",
        "do = dy * tc": "do-uses-local-dh",
        "do = dh": "do-without-tanh-c",
        "do = dh * h": "do-h-for-tanh-c",
        "do = dc_next * tc": "do-dc-next-for-dh",
    },
    "dc = dc_next + dh * o * (1 - tc ** 2)": {
        "dc = dh * dc_next + dh * o * (1 - tc ** 2)": "dc-extra-dh-on-dc-next",
        "dc = dc_next + dy * o * (1 - tc ** 2)": "dc-uses-local-dh",
        "dc = dh * o * (1 - tc ** 2)": "dc-without-dc-next",
        "dc = dc_next.copy()": "dc-without-dh",
        "dc = dc_next + dh * o * (1 + tc ** 2)": "dc-plus-in-dh",
        "dc = dc_next + dh * o / (1 - tc ** 2)": "dc-inverse-in-dh",
        "dc = dc_next + dh * o * (1 - np.tanh(tc) ** 2)": "dc-derivative-of-output-in-dh",
        "dc = dc_next + dh * o * (1 - c ** 2)": "dc-derivative-of-input-in-dh",
        "dc = dc_next + dh * o": "dc-without-derivative-in-dh",
        "dc = dc_next + dh * (1 - tc ** 2)": "dc-without-o-in-dh",
        "dc = dc_next + dh * o * (1 - h ** 2)": "dc-derivative-of-h-in-dh",
        "dc = dc_next + dh * o * tc": "dc-value-in-dh",
        "dc = dc_next + dh * i * (1 - tc ** 2)": "dc-i-for-o-in-dh",
        "dc = dc_next * dh * o * (1 - tc ** 2)": "dc-product-for-sum",
        "dc = dc_next * f + dh * o * (1 - tc ** 2)": "dc-extra-f-on-dc-next",
        "dc = 2 * (dc_next + dh * o * (1 - tc ** 2))": "dc-times-2",
        "dc = dc_next - dh * o * (1 - tc ** 2)": "dc-minus-dh",
    },
    "df = dc * c_prev": {
        "df = dc * c": "df-c-for-c-prev",
        "df = dc_next * c_prev": "df-dc-next-for-dc",
        "df = dh * c_prev": "df-dh-for-dc",
        "df = dc * h_prev": "df-h-prev-for-c-prev",
    },
    "di = dc * g": {"di = dc * i": "di-i-for-g", "di = dc": "di-without-g", "di = dc * f": "di-f-for-g"},
    "dg = dc * i": {"dg = dc * g": "dg-g-for-i", "dg = dc * f": "dg-f-for-i", "dg = do * i": "dg-do-for-dc"},
    "dc_next = dc * f": {
        "dc_next = dc * cache[min(t + 1, T - 1)][8]": "dc-prev-f-step-later",
        "dc_next = dc_next + dc * f": "dc-prev-accumulated",
        "dc_next = dc": "dc-prev-without-f",
        "dc_next = dc * i": "dc-prev-i-for-f",
        "dc_next = dc_next * f": "dc-prev-dc-next-for-dc",
        "dc_next = 0 * dc": "dc-prev-zero",
    },
    "dai = di * i * (1 - i)": {
        "dai = di * i": "da-i-value",
        "dai = di * sigmoid(i) * (1 - sigmoid(i))": "da-i-derivative-of-output",
        "dai = di": "da-i-without-derivative",
        "dai = di * (1 - i ** 2)": "da-i-tanh-derivative",
    },
    "daf = df * f * (1 - f)": {
        "f = cache[min(t + 1, T - 1)][8]\n        daf = df * f * (1 - f)": "da-f-derivative-step-later",
        "daf = df * f": "da-f-value",
        "daf = df * af * (1 - af)": "da-f-derivative-of-input",
        "daf = df * i * (1 - i)": "da-f-i-1-i-for-f-1-f",
        "daf = di * f * (1 - f)": "da-f-di-for-df",
        "daf = df * (1 - f)": "da-f-1-value",
    },
    "dao = do * o * (1 - o)": {
        "dao = do * o * (1 + o)": "da-o-plus",
        "dao = 0 * do": "da-o-zero",
        "dao = -do * o * (1 - o)": "da-o-negated",
    },
    "dag = dg * (1 - g ** 2)": {
        "dag = dg * (1 - np.tanh(g) ** 2)": "da-g-derivative-of-output",
        "dag = dg * (1 - g)": "da-g-1-value",
        "dag = dg * g * (1 - g)": "da-g-sigmoid-derivative",
        "dag = dg * (1 - ag ** 2)": "da-g-derivative-of-input",
    },
    "dWx += x.T @ da": {"dWx = x.T @ da": "dw-first-only-step", "dWx += x.T @ da / T": "dw-divided-by-t"},
    "dWh += h_prev.T @ da": {
        "dWh += h.T @ da": "du-h-for-h-prev",
        "dWh += c_prev.T @ da": "du-c-prev-for-h-prev",
    },
    "db += da.sum(0)": {
        "dai, own = daf, dai\n        db += np.hstack([DELTAS]).sum(0)\n        dai = own": (
            "db-i-da-f-for-da-i|biases-da-f-for-da-i"
        ),
        "db += da.mean(0)": "db-divided-by-n",
        "db = da.sum(0)": "db-first-only-step",
    },
    "dx[t] = da @ Wx.T": {"dx[t] = 0 * da @ Wx.T": "dx-zero"},
    "dh_next = da @ Wh.T": {
        "dh_next = da @ UNTRANSPOSED": "dh-prev-untransposed-in-all",
        "dh_next = 0 * dh": "dh-prev-zero",
    },
    "dh_last, dc_last\n": {
        "0 * dh_last, dc_last\n": "dh-last-zero",
        "dh_last, 0 * dc_last\n": "dc-last-zero",
    },
    "for t in reversed(range(T))": {"for t in range(T)": "time-forward"},
    "return np.stack(dx), dh_next, dc_next, dWx, dWh, db": {
        "return np.stack(dx), dh_next, dc_next, dWx / T, dWh / T, db / T": "weights-divided-by-t",
        "return 0 * np.stack(dx), 0 * dh_next, 0 * dc_next, 0 * dWx, 0 * dWh, 0 * db": "all-zero",
    },
    "da = np.hstack([DELTAS])": {
        "dai, daf = daf, dai\n        da = np.hstack([DELTAS])": "da-i-swapped-with-da-f",
        "dao, dag = dag, dao\n        da = np.hstack([DELTAS])": "da-o-swapped-with-da-g",
    },
}

# the columns of Wx in the names that those of Wh have, for one line
SPLIT = "RECUR = np.split(Wx, 3, axis=1)\n        "

GRU_FAULTS = {
    "dh = dy + dh_next": {"dh = dy": "dh-without-dh-next"},
    "dz = dh * h_prev - dh * n": {
        "dz = dh * h_prev": "dz-without-dh-n",
        "dz = dh * h - dh * n": "dz-h-for-h-prev-in-dh-h-prev",
        "dz = dh * h_prev + dh * n": "dz-minus-dh-n",
        "dz = dh * n - dh * h_prev": "dz-negated",
    },
    "dn = dh * (1 - z)": {
        "dn = dh * z": "dn-z-for-1-z",
        "dn = dh": "dn-without-1-z",
        "dn = dy * (1 - z)": "dn-uses-local-dh",
    },
    "dan = dn * (1 - n ** 2)": {
        "dan = dn * (1 - cache[min(t + 1, T - 1)][4] ** 2)": "da-n-derivative-step-later",
        "dan = dn * (1 + n ** 2)": "da-n-plus",
        "dan = dn * (1 - n)": "da-n-1-value",
        "dan = dn": "da-n-without-derivative",
    },
    "dq = dan @ Un.T": {"dq = dan @ Un": "dq-u-n-untransposed", "dq = dan @ Uz.T": "dq-u-z-for-u-n"},
    "dr = dq * h_prev": {
        "dr = dq\n        dr *= h_prev": "dh-prev-extra-h-prev-on-dq",
        "dr = (dan * h_prev) @ Un.T": "dr-h-prev-of-wrong-side",
        "dr = dq * h": "dr-h-for-h-prev",
        "dr = dq * q": "dr-q-for-h-prev",
        "dr = dq": "dr-without-h-prev",
    },
    "dar = dr * r * (1 - r)": {
        "dar = dr * r": "da-r-value",
        "dar = dr * z * (1 - z)": "da-r-z-1-z-for-r-1-r",
    },
    "daz = dz * z * (1 - z)": {"daz = dz * z": "da-z-value", "daz = dz * (1 - z)": "da-z-1-value"},
    "dUn = q.T @ dan": {
        "dUn = h_prev.T @ (dan * r)": "du-n-r-of-wrong-side",
        "dUn = h_prev.T @ dan": "du-n-h-prev-for-q",
    },
    "dUr = h_prev.T @ dar": {"dUr = q.T @ dar": "du-r-q-for-h-prev", "dUr = h.T @ dar": "du-r-h-for-h-prev"},
    "db += da.sum(0)": {
        "dar, own = daz, dar\n        db += np.hstack([DELTAS]).sum(0)\n        dar = own": (
            "db-r-da-z-for-da-r|biases-da-z-for-da-r"
        ),
        "db += da.mean(0)": "db-divided-by-n",
    },
    "dWx += x.T @ da": {"dWx = x.T @ da": "dw-first-only-step"},
    "dh_next = dh * z + dq * r + dar @ Ur.T + daz @ Uz.T": {
        "dh_next = dh * z + dq * np.roll(r, 1, -1) + dar @ Ur.T + daz @ Uz.T": (
            "dh-prev-r-of-previous-unit-in-dq"
        ),
        "dh_next = dh * z + dq * np.roll(r, -1, -1) + dar @ Ur.T + daz @ Uz.T": (
            "dh-prev-r-of-next-unit-in-dq"
        ),
        "dh_next = dh * z + (dan * r) @ Un.T + dar @ Ur.T + daz @ Uz.T": "dh-prev-r-of-wrong-side",
        "dh_next = dq * r + dar @ Ur.T + daz @ Uz.T": "dh-prev-without-dh",
        "dh_next = dh * z + dar @ Ur.T + daz @ Uz.T": "dh-prev-without-dq",
        "dh_next = dh * z + dq * r + daz @ Uz.T": "dh-prev-without-da-r",
        "dh_next = dh * z + dq * r + dar @ Ur.T": "dh-prev-without-da-z",
        "dh_next = dh * (1 - z) + dq * r + dar @ Ur.T + daz @ Uz.T": "dh-prev-1-z-for-z-in-dh",
        "dh_next = dh * z + dq + dar @ Ur.T + daz @ Uz.T": "dh-prev-without-r-in-dq",
        "dh_next = dh * z": "dh-prev-only-dh",
        "dh_next = dh * z + dq * r + dar @ Uz.T + daz @ Uz.T": "dh-prev-u-z-for-u-r-in-da-r",
    },
    "for t in reversed(range(T))": {"for t in range(T)": "time-forward"},
    "dx[t] = da @ Wx.T": {
        SPLIT
        + "dx[t] = dar @ Uz.T + daz @ Uz.T + dan @ Un.T\n"
        + "        x, h_prev, r, z, n, q, Ur, Uz, Un, h = cache[t]": "dx-w-z-for-w-r-in-da-r"
    },
}

GRU_AFTER_FAULTS = {
    "dmn = dan * r": {
        "dmn = dan * np.roll(r, 1, -1)": "da-m-r-of-previous-unit",
        "dmn = dan": "da-m-without-r",
        "dmn = dan * z": "da-m-z-for-r",
    },
    "dr = dan * mn": {"dr = dan * h_prev": "dr-h-prev-for-a-m", "dr = dn * mn": "dr-dn-for-da-n"},
    "dz = dh * n - dh * h_prev": {
        "dz = dh * h_prev - dh * n": "dz-negated",
        "dz = dh * n": "dz-without-dh-h-prev",
    },
    "dn = dh * z": {"dn = dh * (1 - z)": "dn-1-z-for-z"},
    "dh_next = dh * (1 - z) + dm @ Wh.T": {
        "dh_next = dm @ Wh.T": "dh-prev-without-dh",
        "dh_next = dh * (1 - z)": "dh-prev-without-all",
        "dh_next = dh * z + dm @ Wh.T": "dh-prev-z-for-1-z-in-dh",
    },
    "dWh += h_prev.T @ dm": {
        "dWh += h_prev.T @ da": "du-n-da-n-for-da-m",
        "dWh += h.T @ dm": "du-h-for-h-prev",
    },
    "dbh += dm.sum(0)": {"dbh += da.sum(0)": "db-h-n-da-n-for-da-m"},
    "for t in reversed(range(T))": {"for t in range(T)": "time-forward"},
    "dan = dn * (1 - n ** 2)": {
        "dan = dn * (1 - cache[min(t + 1, T - 1)][4] ** 2)": "da-n-derivative-step-later"
    },
    "return np.stack(dx), dh_next, dWx, dWh, db, dbh": {
        "return np.stack(dx), dh_next, dWx / T, dWh / T, db / T, dbh / T": "weights-divided-by-t"
    },
}

CHUNK_FAULTS = {
    "dy = ps[t].copy()\n        dy[targets[t]] -= 1": {
        "dy = ps[t].copy()": "rnn/dlogits-without-onehot",
        "dy = ps[t].copy()\n        dy[targets[t]] -= 1\n        dy = dy * ps[t] * (1 - ps[t])": (
            "rnn/dlogits-extra-p-1-p"
        ),
        "dy = ps[t].copy()\n        dy[targets[t]] -= 1\n        dy = dy / len(inputs)": (
            "rnn/dlogits-divided-by-t"
        ),
    },
    "dh = Why.T @ dy + dh_next": {"dh = Why.T @ dy": "rnn/dh-without-dh-next"},
    "dWhh += da @ hs[t - 1].T": {"dWhh += da @ hs[t].T": "rnn/du-h-for-h-prev"},
    "dh_next = Whh.T @ da": {"dh_next = Whh @ da": "rnn/dh-prev-u-untransposed"},
    "dWhy += dy @ hs[t].T": {"dWhy = dy @ hs[t].T": "rnn/dv-first-only-step"},
    "dby += dy": {"dby -= dy": "rnn/dk-negated"},
    "da = (1 - hs[t] ** 2) * dh": {"da = (1 + hs[t] ** 2) * dh": "rnn/da-plus"},
    "reversed(range(len(inputs)))": {"range(len(inputs))": "rnn/time-forward"},
}

OUTSIDE = {
    "weights-updated-in-loop": (
        "rnn",
        "dh_next = da @ Wh.T",
        "Wh = Wh - 0.1 * dWh\n        dh_next = da @ Wh.T",
    ),
    "weights-updated-in-loop by the step's own": (
        "lstm",
        "dh_next = da @ Wh.T",
        "dh_next = da @ Wh.T\n        Wh = Wh + 0.05 * (h_prev.T @ da)",
    ),
    "dh-prev-clipped": ("rnn", "dh_next = da @ Wh.T", "dh_next = np.clip(da @ Wh.T, -0.5, 0.5)"),
    "deltas-clipped": ("lstm", "da = np.hstack([DELTAS])", "da = np.clip(np.hstack([DELTAS]), -0.1, 0.1)"),
    "forward-h-prev-stuck": ("rnn", "h_prev = h\n", "h_prev = h0\n"),
    "forward-b-i-for-b-f": (
        "lstm",
        "i, f, o, g = sigmoid(ai)",
        "af = af - b[H:2*H] + b[:H]\n        i, f, o, g = sigmoid(ai)",
    ),
}
"""Faults that are no change of a term, by their id: a cell, the text and what stands in its place."""
