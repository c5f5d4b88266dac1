"""The LSTM as one array program: one matrix over [1, x, h], all gates in one buffer, states offset by one."""
import numpy as np


def lstm_init(D, H):
    return np.random.randn(1 + D + H, 4 * H)


def lstm_all(X, WLSTM, c0, h0):
    T, B, D = X.shape
    H = h0.shape[1]
    Hin = np.zeros((T, B, WLSTM.shape[0]))
    IFOG = np.zeros((T, B, 4 * H))
    C, Ct, Hout = (np.zeros((T, B, H)) for _ in range(3))
    for t in range(T):
        Hin[t, :, 0] = 1
        Hin[t, :, 1:1 + D] = X[t]
        Hin[t, :, 1 + D:] = Hout[t - 1] if t > 0 else h0
        raw = Hin[t].dot(WLSTM)
        IFOG[t, :, :3 * H] = 1.0 / (1.0 + np.exp(-raw[:, :3 * H]))
        IFOG[t, :, 3 * H:] = np.tanh(raw[:, 3 * H:])
        C[t] = IFOG[t, :, :H] * IFOG[t, :, 3 * H:] + IFOG[t, :, H:2 * H] * (C[t - 1] if t > 0 else c0)
        Ct[t] = np.tanh(C[t])
        Hout[t] = IFOG[t, :, 2 * H:3 * H] * Ct[t]
    return Hout, C[-1], Hout[-1], (WLSTM, Hout, IFOG, C, Ct, Hin, c0)


def lstm_all_back(dHout_in, tape, dcn=None, dhn=None):
    WLSTM, Hout, IFOG, C, Ct, Hin, c0 = tape
    T, B, H = Hout.shape
    D = WLSTM.shape[0] - 1 - H
    dRaw, dIFOG = np.zeros_like(IFOG), np.zeros_like(IFOG)
    dWLSTM, dC, dX = np.zeros_like(WLSTM), np.zeros_like(C), np.zeros((T, B, D))
    dHout = dHout_in.copy()
    if dcn is not None:
        dC[-1] += dcn
    if dhn is not None:
        dHout[-1] += dhn
    dh0, dc0 = np.zeros((B, H)), np.zeros((B, H))
    for t in reversed(range(T)):
        dIFOG[t, :, 2 * H:3 * H] = Ct[t] * dHout[t]
        dC[t] += (1 - Ct[t] ** 2) * IFOG[t, :, 2 * H:3 * H] * dHout[t]
        before = C[t - 1] if t > 0 else c0
        dIFOG[t, :, H:2 * H] = before * dC[t]
        if t > 0:
            dC[t - 1] += IFOG[t, :, H:2 * H] * dC[t]
        else:
            dc0 = IFOG[t, :, H:2 * H] * dC[t]
        dIFOG[t, :, :H] = IFOG[t, :, 3 * H:] * dC[t]
        dIFOG[t, :, 3 * H:] = IFOG[t, :, :H] * dC[t]
        dRaw[t, :, 3 * H:] = (1 - IFOG[t, :, 3 * H:] ** 2) * dIFOG[t, :, 3 * H:]
        y = IFOG[t, :, :3 * H]
        dRaw[t, :, :3 * H] = y * (1 - y) * dIFOG[t, :, :3 * H]
        dWLSTM += Hin[t].T.dot(dRaw[t])
        dHin = dRaw[t].dot(WLSTM.T)
        dX[t] = dHin[:, 1:1 + D]
        if t > 0:
            dHout[t - 1] += dHin[:, 1 + D:]
        else:
            dh0 = dHin[:, 1 + D:]
    return dX, dWLSTM, dc0, dh0
