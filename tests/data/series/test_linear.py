"""Least squares that are held back as much as rows left out say."""

import numpy as np

from bptt.data.series.linear import PENALTIES, ridge


def test_the_penalty_is_that_of_the_least_error_of_rows_left_out() -> None:
    rng = np.random.default_rng(0)
    for noise in (0.01, 1.0, 30.0):
        x = rng.normal(size=(25, 6))
        y = x @ rng.normal(size=(6, 2)) + noise * rng.normal(size=(25, 2))

        def fit(rows: list[int], penalty: float) -> np.ndarray:
            kept, to = x[rows], y[rows]  # noqa: B023
            return np.linalg.solve(kept.T @ kept + penalty * np.eye(6), kept.T @ to)

        def left_out(penalty: float) -> float:
            errors = []
            for k in range(25):
                others = [row for row in range(25) if row != k]
                errors.append(y[k] - x[k] @ fit(others, penalty))  # noqa: B023
            return float(np.mean(np.square(errors)))

        best = min(PENALTIES, key=left_out)
        assert np.allclose(ridge(x, y), fit(list(range(25)), best))


def test_values_that_repeat_each_other_do_not_divide_by_zero() -> None:
    x = np.repeat(np.random.default_rng(0).normal(size=(900, 1)), 5, axis=1)
    assert np.allclose(ridge(x, 2 * x[:, :1]).sum(), 2, atol=1e-2)
    assert not ridge(np.zeros((4, 3)), np.ones((4, 2))).any()
