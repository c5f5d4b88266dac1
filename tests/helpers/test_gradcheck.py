"""The measure is itself measured: each helper finds the gradients that calculus gives, and no others."""

from collections.abc import Callable

import numpy as np
import pytest

from bptt.cells import CELLS
from bptt.types import Array, Params
from gradcheck import assert_close, central_differences, complex_step, errors, random_layer, relative_error

METHODS = [pytest.param(complex_step, 1e-14, id="complex"), pytest.param(central_differences, 1e-8, id="fd")]
Method = Callable[..., Params]


def problem() -> Params:
    rng = np.random.default_rng(5)
    return {"A": rng.normal(size=(3, 4)), "v": 100 * rng.normal(size=4), "s": rng.normal(size=())}


def loss(p: Params) -> Array:
    return np.exp(p["s"]) * np.tanh(p["A"] @ (p["v"] / 100)).sum()  # type: ignore[no-any-return]


def by_hand(p: Params) -> Params:
    z = np.tanh(p["A"] @ (p["v"] / 100))
    d = np.exp(p["s"]) * (1 - z * z)
    return {"A": np.outer(d, p["v"] / 100), "v": d @ p["A"] / 100, "s": np.exp(p["s"]) * z.sum()}


@pytest.mark.parametrize(("method", "tolerance"), METHODS)
def test_numerical_gradient_is_that_of_calculus(method: Method, tolerance: float) -> None:
    p = problem()
    assert_close(method(loss, p), by_hand(p), tolerance)


@pytest.mark.parametrize(("method", "tolerance"), METHODS)
def test_arrays_are_left_as_they_were(method: Method, tolerance: float) -> None:
    p = problem()
    before = {name: array.copy() for name, array in p.items()}
    method(loss, p)
    assert all(np.array_equal(p[name], before[name]) for name in p)


def test_complex_step_refuses_a_loss_that_drops_the_imaginary_part() -> None:
    # otherwise every gradient would be zero, and a backward that returns zeros right
    with pytest.raises(AssertionError, match="drops the imaginary part of A"):
        complex_step(lambda p: loss(p).real, problem())


FAULTS: dict[str, Callable[[Params], Params]] = {
    "sign": lambda g: g | {"v": -g["v"]},
    "one small entry": lambda g: g | {"A": g["A"] + 3e-6 * np.eye(3, 4) * np.abs(g["A"]).max()},
    "order": lambda g: g | {"v": g["v"][::-1]},
    "factor": lambda g: g | {"s": g["s"] * (1 + 3e-6)},
    "zeros": lambda g: {name: np.zeros_like(array) for name, array in g.items()},
    "nan": lambda g: g | {"v": np.where(np.arange(4) == 2, np.nan, g["v"])},
    "infinity": lambda g: g | {"v": np.where(np.arange(4) == 2, np.inf, g["v"])},
    "tensor missing": lambda g: {name: g[name] for name in ("A", "v")},
    "tensor too many": lambda g: g | {"b": np.zeros(3)},
    "transposed": lambda g: g | {"A": g["A"].T},
    "broadcasts": lambda g: g | {"v": g["v"][None]},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("method", "tolerance"), METHODS)
def test_planted_fault_is_caught(method: Method, tolerance: float, fault: str) -> None:
    p = problem()
    with pytest.raises(AssertionError):
        assert_close(FAULTS[fault](by_hand(p)), method(loss, p), 1e-6)


def test_error_is_relative_to_the_largest_entry() -> None:
    wanted = np.array([1e-9, -4e-6])
    assert relative_error(wanted + np.array([0, 1e-6]), wanted) == pytest.approx(0.25)
    assert relative_error(wanted + np.array([1e-6, 0]), wanted) == pytest.approx(0.25)
    assert relative_error(wanted, wanted) == 0


def test_where_zero_is_wanted_only_zero_will_do() -> None:
    zero = np.zeros((2, 3))
    assert relative_error(zero, zero) == 0
    assert relative_error(zero + 1e-300, zero) == np.inf
    assert relative_error(zero[:0], zero[:0]) == 0  # no entries: nothing is wrong with them


def test_error_is_told_by_tensor() -> None:
    p = problem()
    found = errors(by_hand(p) | {"v": 2 * by_hand(p)["v"]}, by_hand(p))
    assert found == {"A": 0, "v": 1, "s": 0}


def test_random_layer_hides_nothing() -> None:
    """Nothing is zero, symmetric or an identity, where a fault could hide behind it."""
    layer = random_layer(np.random.default_rng(0), CELLS["rnn"])
    assert layer.arrays.keys() == {"W", "U", "b", "b_h", "x", "h0"}
    assert layer.cotangents.keys() == {"y", "h"}
    assert all((array != 0).all() for array in (layer.arrays | layer.cotangents).values())
    U = layer.arrays["U"]
    assert relative_error(U.T, U) > 0.1
    T, N, D, H = *layer.arrays["x"].shape, len(U)
    assert len({T, N, D, H}) == 4, "equal sizes let a transposed array pass"
