"""`bptt.check` of a function of parameters is right where it is, and not fooled by its own errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.checking import assert_gradients, check, text
from bptt.checking.direct.numeric import derivative, numerical_gradient
from bptt.checking.file import SubjectError
from bptt.checking.report import relation
from bptt.types import Array, Params


def point() -> Params:
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(3, 4)), "W": rng.normal(size=(4, 5)), "b": rng.normal(size=5)}


def layer(change: Callable[[Params, Params], None] | None = None) -> Callable[[Params], tuple[Any, Params]]:
    """Return a layer's loss and gradients, the gradients changed."""

    def f(p: Params) -> tuple[Any, Params]:
        y = np.tanh(p["x"] @ p["W"] + p["b"])
        da = 2 * y * (1 - y * y)
        grads = {"x": da @ p["W"].T, "W": p["x"].T @ da, "b": da.sum(axis=0)}
        if change:
            change(grads, p)
        return (y * y).sum(), grads

    return f


def test_right() -> None:
    report = check(layer(), point())
    assert report.verdict == "right"
    assert "compared with the complex step" in report.notes
    assert set(report.names("right")) == {"x", "W", "b"}
    assert max(g["error"] for g in report.gradients) < 1e-13
    assert_gradients(layer(), point())


def double(g: Params, p: Params) -> None:
    g["W"] = 2 * g["W"]


def zero(g: Params, p: Params) -> None:
    g["b"] = np.zeros_like(g["b"])


def itself(g: Params, p: Params) -> None:
    g["W"] = p["W"].copy()


def seeded(g: Params, p: Params) -> None:
    g["W"] = g["W"] + p["W"]


def columns(g: Params, p: Params) -> None:
    g["x"][:, 2:] += 1


def infinite(g: Params, p: Params) -> None:
    g["x"][1, 2] = np.inf


def short(g: Params, p: Params) -> None:
    g["x"] = g["x"][:2]


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (double, "W", "the right one times 2"),
        (zero, "b", "exactly zero"),
        (itself, "W", "the array W itself"),
        (seeded, "W", "the right one plus W itself"),
        (columns, "x", "only in columns 2:4 of 4"),
        (infinite, "x", "not finite"),
        (short, "x", "of shape (2, 4), where (3, 4) belongs"),
    ],
)
def test_wrong_and_what_it_is_instead(
    change: Callable[[Params, Params], None], name: str, words: str
) -> None:
    report = check(layer(change), point())
    assert report.verdict == "wrong"
    assert report.names("wrong") == [name]
    assert [g["note"] for g in report.gradients if g["name"] == name] == [words]
    with pytest.raises(AssertionError, match="the backward pass is wrong") as told:
        assert_gradients(layer(change), point())
    assert words in str(told.value)


def test_columns_without_a_gradient_show_nothing() -> None:
    """Three tokens of six occur: the weights of the others have no gradient, and are no right columns."""
    right = np.random.default_rng(0).normal(size=(4, 6)) * [1, 0, 0, 1, 0, 1]
    assert relation("W", 2.5 * right + (right != 0), {"W": right}, {}, 1e-9) == ""
    wrong = right + [[1], [1], [0], [0]] * (right != 0)
    assert relation("W", wrong, {"W": right}, {}, 1e-9) == "only in rows 0:2 of 4"


@pytest.mark.parametrize("factor", [1 + 1e-6, 1 - 1e-4])
def test_a_small_error_is_no_right(factor: float) -> None:
    def change(g: Params, p: Params) -> None:
        g["W"] = factor * g["W"]

    assert check(layer(change), point()).verdict == "wrong"


@pytest.mark.parametrize("as_what", ["dict", "d-prefixed", "list", "flat", "half"])
def test_gradients_are_found_by_name_or_by_order(as_what: str) -> None:
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=(2, 3)), rng.normal(size=3)

    def function(params: Any) -> Any:
        W, b = params if as_what == "list" else params.values()
        a = np.tanh(W + b)
        loss, d = (a * a).sum(), 2 * a * (1 - a * a)
        W += 1  # what it does to its arguments must not reach the point
        named = {"W": d, "b": d.sum(0)}
        return {
            "dict": (loss, named),
            "d-prefixed": (loss, {f"d{key}": g for key, g in named.items()}),
            "list": (loss, [d, d.sum(0)]),
            "flat": (loss, d, d.sum(0)),
            "half": (loss, {"b": d.sum(0)}),
        }[as_what]

    report = check(function, [W, b] if as_what == "list" else {"W": W, "b": b})
    assert report.verdict == "right"
    assert report.names("not given") == (["W"] if as_what == "half" else [])


def test_code_that_is_not_analytic_is_differenced() -> None:
    """abs takes complex numbers and is not analytic in them: believing the complex step would be wrong."""
    report = check(lambda p: ((np.abs(p["x"]) ** 2).sum(), {"x": 2 * p["x"]}), {"x": np.array([0.5, -1.5])})
    assert report.verdict == "right"
    assert "compared with the central differences" in report.notes


def test_single_precision_is_not_called_wrong_for_its_rounding() -> None:
    def f(p: Params) -> tuple[Any, Params]:
        y = np.tanh(p["x"].astype(np.float32))
        return float((y * y).sum()), {"x": 2 * y * (1 - y * y)}

    assert check(f, {"x": np.linspace(-1, 2, 7)}).verdict in ("right", "cannot tell")


def test_a_random_forward_cannot_be_told() -> None:
    rng = np.random.default_rng(0)

    def f(p: Params) -> tuple[Any, Params]:
        keep = rng.random(p["x"].shape) > 0.5
        return (keep * p["x"]).sum(), {"x": keep.astype(float)}

    report = check(f, {"x": np.ones(5)})
    assert report.verdict == "cannot tell"
    assert "draws at random" in text(report)


def test_a_kink_at_the_point_cannot_be_told() -> None:
    def f(p: Params) -> tuple[Any, Params]:
        return np.maximum(p["x"].real, 0).sum(), {"x": (p["x"] > 0).astype(float)}

    report = check(f, {"x": np.array([0.0, 1.0])})
    assert report.verdict == "cannot tell"
    assert "kink" in text(report)


def test_gradients_that_grow_are_reported() -> None:
    left = np.zeros(3)

    def f(p: Params) -> tuple[Any, Params]:
        nonlocal left
        left = left + 2 * p["x"]
        return (p["x"] ** 2).sum(), {"x": left}

    assert "a second call gives other gradients" in text(check(f, {"x": np.array([1.0, 2.0, 3.0])}))


@pytest.mark.parametrize(
    ("f", "says"),
    [
        (lambda p: None, "must return"),
        (lambda p: (np.ones(3), {"x": np.ones(3)}), "one number"),
        (lambda p: 1 / 0, "division by zero"),
        (lambda p: (1.0, [np.zeros(2)] * 3), "1 parameters, but 3"),
        (lambda p: (1.0, {"y": 1.0}), "no gradient at x"),
    ],
)
def test_what_is_no_loss_and_gradients_is_told_in_a_line(f: Callable[[Params], Any], says: str) -> None:
    with pytest.raises(SubjectError, match=says) as told:
        check(f, {"x": np.ones(3)})
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("factor", [1.0, 1 + 1e-5])
def test_what_hardly_matters_is_judged_too(factor: float) -> None:
    def f(p: Params) -> tuple[Any, Params]:
        loss = 7 + p["x"].sum() + 1e-7 * np.sin(p["w"]).sum()
        return loss, {"x": np.ones_like(p["x"]), "w": factor * 1e-7 * np.cos(p["w"])}

    report = check(f, {"x": np.array([0.1, 0.2]), "w": np.array([0.4, 1.1])})
    assert report.verdict == ("right" if factor == 1 else "wrong")


def test_our_own_model_is_right() -> None:
    rng = np.random.default_rng(0)
    model = bptt.Model(inputs=5, outputs=5, hidden=3, embedding=2, layers=2)
    tokens = rng.integers(5, size=(4, 2))
    params = {name: rng.normal(size=shape) for name, shape in model.shapes.items()}
    report = check(lambda p: model.loss_and_grads(p, tokens[:-1], tokens[1:]), params)
    assert report.verdict == "right"
    assert max(g["error"] for g in report.gradients) < 1e-11


@pytest.mark.parametrize("sign", [-1, 1], ids=["right", "wrong"])
def test_a_jax_function_with_a_custom_vjp(sign: int) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def act(a: Any) -> Any:
        return jax.numpy.tanh(a)

    act.defvjp(lambda a: (act(a), act(a)), lambda h, g: (g * (1 + sign * h * h),))

    def loss(p: Any) -> Any:
        return (act(p["x"] @ p["W"] + p["b"]) ** 2).sum()

    assert check(jax.value_and_grad(loss), point()).verdict == ("right" if sign < 0 else "wrong")


@pytest.mark.parametrize("sign", [-1, 1], ids=["right", "wrong"])
def test_a_torch_function_s_backward_is_that_of_its_loss(sign: int) -> None:
    torch = pytest.importorskip("torch")

    class Act(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            h = torch.tanh(a)
            ctx.save_for_backward(h)
            return h

        @staticmethod
        def backward(ctx: Any, dh: Any) -> Any:
            (h,) = ctx.saved_tensors
            return dh * (1 + sign * h * h)

    def loss(p: Any) -> Any:
        return (Act.apply(p["x"] @ p["W"] + p["b"]) ** 2).sum()

    params = {key: torch.tensor(array) for key, array in point().items()}
    report = check(loss, params)
    assert report.verdict == ("right" if sign < 0 else "wrong")
    assert len(report.gradients) == 3


# ---------------------------------------------------------------------- the numerical gradient


def test_the_estimate_covers_the_error_wherever_a_kink_is() -> None:
    rng = np.random.default_rng(0)
    unclear = 0
    for _ in range(500):
        kink = 10 ** rng.uniform(-7, 0) * rng.choice([-1, 1])
        a, b = rng.normal(size=2)
        slope = (a if kink < 0 else 0) + b * (1 - np.tanh(0.3) ** 2)
        value, estimate = derivative(
            lambda s, a=a, b=b, kink=kink: a * max(s - kink, 0) + b * np.tanh(s + 0.3)  # type: ignore[misc]
        )
        assert abs(value - slope) <= estimate
        unclear += estimate > 1e-4
    assert unclear < 250  # a kink farther off than the smallest steps leaves the value clear


def test_both_ways_agree_with_the_derivative() -> None:
    at, rng = {"x": np.array([0.3, -0.7, 2.0])}, np.random.default_rng(0)

    def f(p: Params) -> Any:
        return (np.sin(p["x"]) * np.exp(p["x"])).sum()

    wanted: Array = np.exp(at["x"]) * (np.sin(at["x"]) + np.cos(at["x"]))
    exact, near = numerical_gradient(f, at, rng), numerical_gradient(lambda p: f(p).real, at, rng)
    assert (exact.method, near.method) == ("complex step", "central differences")
    assert np.allclose(exact.gradient["x"], wanted, rtol=1e-14, atol=0)
    assert (np.abs(near.gradient["x"] - wanted) <= near.estimate["x"]).all()
    assert near.estimate["x"].max() < 1e-8
