"""An optimiser of one's own is its equations: they run in NumPy and compiled, and errors say the way out."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.errors import ConfigError
from bptt.kernels.backends import Backend
from bptt.training.optim import Optimizer
from bptt.training.optim.equations import FUNCTIONS, read

PAGE = (Path(__file__).parents[3] / "docs/optimiser.md").read_text("utf-8")
SHAPES = {"W": (7, 5), "b": (40_000,)}
BACKENDS: tuple[Backend, ...] = ("reference", "cpu")


def moved(
    lines: tuple[str, ...], dtype: Any, backend: Backend, its: tuple[str, ...] = (), steps: int = 1
) -> dict[str, Any]:
    """Parameters and slots after steps of an optimiser with the option k = 0.3, with lr = 0.1."""

    @dataclass(frozen=True)
    class Mine(Optimizer):
        k: float = 0.3
        slots = its
        equations = lines

    optimizer, rng = Mine(), np.random.default_rng(0)
    params: dict[str, Any] = {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}
    state = optimizer.init(params)
    for _ in range(steps):
        grads = {name: np.asarray(rng.normal(size=p.shape).astype(dtype)) for name, p in params.items()}
        optimizer.update(params, grads, state, 0.1, backend=backend)
    return params | state


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_lines_are_computed_in_their_order(backend: Backend, dtype: Any) -> None:
    """A value has the new p and the old slot; arrays that exchange their values do so."""
    lines = "u = m", "m = n", "n = u", "p = 2*p", "n = n + p + g", "p = p - n + k"
    found = moved(lines, dtype, backend, ("m", "n"), steps=2)
    rng = np.random.default_rng(0)
    p = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    m, n = ({name: np.zeros(shape) for name, shape in SHAPES.items()} for _ in "mn")
    for _ in range(2):
        for x in SHAPES:
            m[x], n[x], p[x] = n[x], m[x] + 2 * p[x] + rng.normal(size=SHAPES[x]), 2 * p[x]
            p[x] = p[x] - n[x] + 0.3
    for x in SHAPES:
        for name, wanted in ((x, p[x]), (f"m.{x}", m[x]), (f"n.{x}", n[x])):
            assert found[name].dtype == dtype
            np.testing.assert_allclose(
                found[name], wanted, rtol=0, atol=1e-5 if dtype is np.float32 else 1e-13
            )


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_function_is_the_same_compiled(function: str, dtype: Any) -> None:
    arguments = (
        "p, 0.1*g" if function in ("max", "min") else "abs(p)" if function in ("log", "sqrt") else "p*g"
    )
    reference, compiled = (moved((f"p = {function}({arguments})",), dtype, b) for b in BACKENDS)
    for name in "Wb":
        assert np.unique(reference[name]).size > 1
        tolerance = 1e-6 if dtype is np.float32 else 1e-14
        np.testing.assert_allclose(compiled[name], reference[name], rtol=tolerance, atol=tolerance)
        assert reference[name].dtype == dtype


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_sign_of_zero_is_zero_and_of_nan_nan(backend: Backend) -> None:
    assert not moved(("p = sign(0*g)",), np.float32, backend)["b"].any()
    with np.errstate(invalid="ignore"):
        assert np.isnan(moved(("u = 0*g", "p = sign(u/u)"), np.float32, backend)["b"]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_simplified_that_rounds(backend: Backend) -> None:
    coarse = moved(("p = p + 1e8 - 1e8",), np.float32, backend)["b"]
    assert set(coarse.tolist()) == {-8.0, 0.0, 8.0}


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_are_computed_in_float64_and_once(backend: Backend) -> None:
    """In float32, 1 - 0.1*1e-6 - 1 is wrong by a fifth; here it is right to float32's last place."""
    found = moved(
        ("c = 1 - lr*1e-6", "q = c - 1", "p = q + 0*p + (t - 1)*matrix"), np.float32, backend, steps=3
    )
    np.testing.assert_allclose(found["b"], -1e-7, rtol=1e-6)
    np.testing.assert_allclose(found["W"], 2, rtol=1e-6)
    rule = read("mine", ("p = p - lr/(1 - k**t)*g/(k + p)**2",), (), ("k",))
    known: dict[str, Any] = {"lr": 0.5, "k": 0.5, "t": 1.0}
    exec(rule.numbers, known)
    assert (rule.reads, known["_read"]) == (("_0", "k"), [1.0, 0.5])
    assert rule.lines == ("p = p - _0 * g / (k + p) ** 2",)


@pytest.mark.parametrize(
    ("equations", "message"),
    [
        ((), "equations must set p, the parameter, got none"),
        (("m = g",), "equations must set p, the parameter, got m = g"),
        (("p += g",), "'p += g': an equation is name = expression, as in p = p - lr*g"),
        (("p = ",), "'p = ': an equation is name = expression, as in p = p - lr*g"),
        (("p = q",), "'p = q': q is not known; there are g, m, p, k, lr, matrix, t"),
        (("p = sqrt",), "'p = sqrt': sqrt is not known; there are g, m, p, k, lr, matrix, t"),
        (("g = p",), "'g = p': g cannot be set; p and slots can, and names of your own, once"),
        (("lr = 2",), "'lr = 2': lr cannot be set; p and slots can, and names of your own, once"),
        (("u = g", "u = p"), "'u = p': u cannot be set; p and slots can, and names of your own, once"),
        (("_0 = g",), "'_0 = g': _0 cannot be set; p and slots can, and names of your own, once"),
        (("p = max(p)",), "'p = max(p)': max takes 2 values, got 1"),
        (("p = p**g",), "'p = p**g': p ** g: a power of an array is a number, at most 64"),
        (("p = p**-65",), "'p = p**-65': p ** (-65): a power of an array is a number, at most 64"),
        (("p = 2**p",), "'p = 2**p': 2 ** p: a power of an array is a number, at most 64"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_when_the_optimiser_is_made(
    equations: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        moved(equations, np.float32, "reference", ("m",))
    assert str(error.value) == f"mine: {message}"


@pytest.mark.parametrize(
    "value", ["p.T", "p[0]", "p @ g", "p % 2", "p > g", "True", "'a'", "1j", "f(p)", "max(p, key=g)", "not p"]
)
def test_only_arithmetic_is_read(value: str) -> None:
    with pytest.raises(
        ConfigError, match=r": equations are made of numbers, names, \+ - \* / \*\* and sigmoid, "
    ):
        moved((f"p = {value}",), np.float32, "reference")


def test_a_name_stands_for_one_thing() -> None:
    with pytest.raises(ConfigError, match="mine: k: two things have this name"):
        moved(("p = p - g",), np.float32, "reference", ("k",))


def test_the_page_s_optimiser_trains() -> None:
    names: dict[str, Any] = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)
    assert names["loss"] < 0.1
    assert "    u = sign(beta1*m + (1 - beta1)*g)" in names["Lion"].__doc__
    (row,) = re.findall(r"^\| functions \| (.*) \|$", PAGE, re.MULTILINE)
    assert sorted(re.findall(r"\w+", row)) == sorted(FUNCTIONS)


def test_a_hyper_parameter_has_bounds_of_its_own() -> None:
    @dataclass(frozen=True)
    class Power(Optimizer):
        q: float = 2.0
        signed: bool = True
        bounds = {"q": (1.0, 8.0)}  # noqa: RUF012  a constant
        equations = ("p = p - lr*g*q*signed",)

    params, optimizer = {"p": np.zeros(2)}, Power(q=4)
    optimizer.update(params, {"p": np.ones(2)}, optimizer.init(params), 0.5)
    assert params["p"].tolist() == [-2.0, -2.0]
    for options, says in (
        ({"q": 8.0}, r"q must be a number in \[1, 8\), got 8.0"),
        ({"signed": 1}, "signed must be True or False"),
    ):
        with pytest.raises(ConfigError, match=f"power: {says}"):
            Power(**options)


@pytest.mark.parametrize("given", ["p = p - lr*g", ["p = p - lr*g"]])
def test_equations_are_a_tuple(given: Any) -> None:
    with pytest.raises(ConfigError, match="equations must be a tuple of str"):
        type("Own", (Optimizer,), {"equations": given})()


def test_an_equation_sets_one_name() -> None:
    with pytest.raises(ConfigError, match="an equation is name = expression"):
        type("Own", (Optimizer,), {"slots": ("v",), "equations": ("p = v = p - lr*g",)})()
