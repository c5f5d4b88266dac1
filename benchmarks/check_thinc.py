"""What the checker says of the LSTM of thinc 9.1.1 in NumPy: its backward is wrong.

    python benchmarks/check_thinc.py

Needs ``pip install thinc==9.1.1``; without it the script says so and ends. Exit code 1 if the backward is
found right.
"""

import sys
from typing import Any

import numpy as np

import bptt
from bptt.checking import check, text
from bptt.types import Params

T, N, D, H = 3, 2, 3, 4


def main() -> int:
    try:
        import thinc
        from thinc.api import NumpyOps
    except ImportError:
        print("thinc is not installed: nothing to check")
        return 0
    ops, rng = NumpyOps(), np.random.default_rng(0)
    lengths = np.full(T, N, dtype="int32")  # how many sequences run at each step
    dY = rng.normal(size=(T * N, H)).astype("f")
    states = rng.normal(size=(2, 1, 1, H)).astype("f")

    def loss_and_grads(p: Params) -> tuple[Any, Params]:
        weights, X = p["weights"].astype("f"), p["X"].astype("f")
        Y, saved = ops.lstm_forward_training(weights, states[0], states[1], X, lengths)
        dX, dweights = ops.backprop_lstm(dY.copy(), lengths, weights.copy(), saved)
        return float((Y.astype(float) * dY).sum()), {"X": dX, "weights": dweights}

    size = 4 * H * (D + H) + 8 * H
    point = {"X": rng.normal(size=(T * N, D)), "weights": rng.normal(0, 0.5, size)}
    print(f"thinc {thinc.__version__}, bptt {bptt.__version__}")
    report = check(loss_and_grads, point)
    print(text(report))
    dY[:] = 0
    _, grads = loss_and_grads(point)
    print(f"with a zero cotangent: largest dweights {np.abs(grads['weights']).max():.3g}, where 0 belongs")
    return 0 if report.verdict == "wrong" else 1


if __name__ == "__main__":
    sys.exit(main())
