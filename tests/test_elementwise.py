"""The functions of one number: right to the last places everywhere, analytic on either side of a kink."""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from bptt import elementwise
from bptt.derive.numpy_code import helped
from bptt.nets.losses import sigmoid_cross_entropy
from bptt.types import Array, Reduction

SUM: Reduction = "sum_over_time_and_batch"


def mp_sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def mp_softplus(x: Any) -> Any:
    return mpmath.log1p(mpmath.exp(x)) if x < 0 else x + mpmath.log1p(mpmath.exp(-x))


# the function, what it is, its derivative, and the most units in the last place in float32 and float64
FUNCTIONS: dict[str, tuple[Callable[[Array], Array], Any, Any, float, float]] = {
    "sigmoid": (elementwise.sigmoid, mp_sigmoid, lambda x: mp_sigmoid(x) * mp_sigmoid(-x), 4, 4),
    "softplus": (elementwise.softplus, mp_softplus, mp_sigmoid, 4, 4),
    "tanh": (np.tanh, mpmath.tanh, lambda x: mpmath.sech(x) ** 2, 4, 4),
    "exp": (np.exp, mpmath.exp, mpmath.exp, 4, 4),
    "log": (np.log, mpmath.log, lambda x: 1 / x, 4, 4),
    "sqrt": (np.sqrt, mpmath.sqrt, lambda x: 1 / (2 * mpmath.sqrt(x)), 1, 1),
    "absolute": (elementwise.absolute, abs, mpmath.sign, 0, 0),
    "relu": (elementwise.relu, lambda x: max(x, 0), lambda x: int(x > 0), 0, 0),
}


def grid(name: str, dtype: Any, count: int) -> Array:
    """Return numbers of all sizes that the function takes and that it does not take to infinity."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    ends = np.log(float(info.max)), np.log(float(info.smallest_subnormal))
    sizes = np.exp(rng.uniform(ends[1], ends[0], count))
    x = np.concatenate([sizes, -sizes, rng.uniform(-20, 20, count), rng.uniform(ends[1], ends[0], count)])
    x = np.append(x.astype(dtype), np.array([0, -1, 0.5, 18, -18, 38, -38], dtype))
    if name in ("log", "sqrt"):
        x = x[x > 0]
    return x[x < ends[0]] if name == "exp" else x


def off(got: Array, exact: list[Any]) -> float:
    """Return the largest distance in units in the last place of the exact value."""
    worst = 0.0
    for g, e in zip(got, exact, strict=True):
        unit = np.spacing(np.abs(got.dtype.type(float(e))))
        worst = max(worst, float(abs(mpmath.mpf(float(g)) - e) / mpmath.mpf(float(unit))))
    return worst


@pytest.mark.parametrize("name", FUNCTIONS)
def test_relative_precision_over_the_whole_range(name: str) -> None:
    function, exactly, _, *bounds = FUNCTIONS[name]
    for dtype, bound in zip((np.float32, np.float64), bounds, strict=True):
        x = grid(name, dtype, 1500)
        with mpmath.workprec(400), np.errstate(all="raise", under="ignore"):
            got = function(x)
            exact = [exactly(mpmath.mpf(float(v))) for v in x]
            assert got.dtype == dtype
            assert off(got, exact) <= bound, (name, dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_complex_step_over_the_whole_range(name: str) -> None:
    """The real part is the function's, the imaginary one its derivative's, as long as that is a number."""
    function, exactly, derivative, *_ = FUNCTIONS[name]
    x = grid(name, np.float64, 500)
    x = x[(x > 1e-10) | (name not in ("log", "sqrt"))]  # the step is small beside x
    with mpmath.workprec(400), np.errstate(all="raise", under="ignore"):
        got = function(x + 1e-30j)
        values = [exactly(mpmath.mpf(float(v))) for v in x]
        slopes = [derivative(mpmath.mpf(float(v))) * mpmath.mpf(1e-30) for v in x]
    assert got.dtype == np.complex128
    for size, part, exact in (("value", got.real, values), ("slope", got.imag, slopes)):
        for v, g, e in zip(x, part, exact, strict=True):
            assert abs(g - e) <= 1e-14 * abs(e) + 2e-323, (size, v, g, e)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends(dtype: Any) -> None:
    ends = np.array([-np.inf, np.inf, np.nan, -1e30, 1e30], dtype)
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(elementwise.sigmoid(ends), [0, 1, np.nan, 0, 1])
        np.testing.assert_array_equal(elementwise.softplus(ends), [0, np.inf, np.nan, 0, dtype(1e30)])
        np.testing.assert_array_equal(elementwise.relu(ends), [0, np.inf, np.nan, 0, dtype(1e30)])
        np.testing.assert_array_equal(elementwise.absolute(ends)[:3], [np.inf, np.inf, np.nan])
    assert np.isnan(elementwise.relu(ends + 0j)[2])
    nan = np.array([np.nan, 1.0]), np.array([1.0, np.nan])
    for choose in (elementwise.maximum, elementwise.minimum):
        assert np.isnan(choose(*nan)).all()
        assert np.isnan(choose(nan[0] + 0j, nan[1])).all()


def test_complex_ends() -> None:
    """At infinity the value is the real function's, and a complex step goes through or is gone."""
    slopes = {"sigmoid": (0, 0), "softplus": (0, 1), "relu": (0, 1), "absolute": (-1, 1)}
    x = np.array([-np.inf, np.inf])
    for step in (0j, 1e-30j):
        for name, slope in slopes.items():
            f = getattr(elementwise, name)
            with np.errstate(all="raise", under="ignore"):
                got = f(x + step)
                np.testing.assert_array_equal(got.real, f(x), err_msg=name)
                np.testing.assert_array_equal(got.imag, np.multiply(slope, step.imag), err_msg=name)
            with np.errstate(invalid="ignore"):
                assert np.isnan(f(np.array([complex(np.nan, step.imag)]))).all(), name
        for choose in (elementwise.maximum, elementwise.minimum):
            got = choose(x + step, np.array([0.0, 1.0]))
            np.testing.assert_array_equal(got.real, choose(x, np.array([0.0, 1.0])))
            assert (got.imag == np.where(np.isinf(got.real), step.imag, 0)).all()


def test_far_from_zero_a_sigmoid_is_no_zero() -> None:
    """The quotient of two gates far below zero is a number, as in exact arithmetic."""
    for dtype, a in ((np.float32, -80.0), (np.float64, -700.0)):
        s = elementwise.sigmoid(np.array([a, a], dtype))
        assert (s[0] / (s[0] + s[1])) == 0.5


def test_a_module_that_is_written_holds_the_same_functions() -> None:
    names = ("sigmoid", "softplus", "relu", "absolute", "maximum", "minimum")
    written: dict[str, Any] = {"np": np}
    exec(helped("used = lambda x: (" + ", ".join(f"{name}(x)" for name in names) + ")"), written)
    x = np.linspace(-40, 40, 161)
    for z in (x.astype(np.float32), x, x + 1e-30j):
        for name in names:
            arguments = (z, z[::-1]) if name in ("maximum", "minimum") else (z,)
            got, wanted = written[name](*arguments), getattr(elementwise, name)(*arguments)
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_of_yes_and_no_keeps_its_precision(dtype: Any) -> None:
    z = np.linspace(-80, 80, 161, dtype=dtype)[None, None]
    for target in (0, 1):
        loss = sigmoid_cross_entropy(z, np.full_like(z, target), reduction=SUM)
        each = [
            float(sigmoid_cross_entropy(z[..., k : k + 1], np.full((1, 1, 1), target), reduction=SUM).value)
            for k in range(z.size)
        ]
        with mpmath.workprec(200):
            sign = -1 if target else 1
            wanted = [float(mp_softplus(sign * mpmath.mpf(float(v)))) for v in z.ravel()]
            slopes = [sign * float(mp_sigmoid(sign * mpmath.mpf(float(v)))) for v in z.ravel()]
        np.testing.assert_allclose(each, wanted, rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_allclose(loss.grad.ravel(), slopes, rtol=4 * np.finfo(dtype).eps)
