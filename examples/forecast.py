"""Forecast a time series one step ahead, and compare with the best that is possible.

The series is made here: a damped oscillation driven by noise. Whoever knows its equation cannot do
better than the noise that comes next, so the lowest possible half squared error is known: σ²/2.

    python examples/forecast.py
"""

import numpy as np

import bptt

SIGMA = 0.3


def series(rng: np.random.Generator, T: int, N: int) -> np.ndarray:
    """Return N series of T steps, (T, N, 1): x_t = 1.5 x_{t-1} - 0.75 x_{t-2} + σ ε_t."""
    x = np.zeros((T + 50, N), np.float32)
    for t in range(2, T + 50):
        x[t] = 1.5 * x[t - 1] - 0.75 * x[t - 2] + SIGMA * rng.standard_normal(N)
    return x[50:, :, None]  # without the first steps, which remember the start


def main(steps: int = 400) -> float:
    rng = np.random.default_rng(0)
    model = bptt.Model(inputs=1, outputs=1, hidden=16, cell="rnn", token_inputs=False, loss="squared_error")
    params = model.init(rng)
    adam = bptt.optim.Adam()
    slots = adam.init(params)
    for step in range(steps):
        x = series(rng, 61, 32)
        loss, grads, _ = model.loss_and_grads(params, x[:-1], x[1:])
        bptt.optim.clip_norm(grads, 1.0)
        adam.update(params, grads, slots, lr=1e-2)
        if step % 100 == 0:
            print(f"step {step:4}  half squared error {loss:.4f}")

    x = series(rng, 201, 200)
    loss = model.loss_and_grads(params, x[:-1], x[1:]).loss
    print(f"fresh series: {loss:.4f}; the best possible: {SIGMA**2 / 2:.4f}")
    return loss


if __name__ == "__main__":
    main()
