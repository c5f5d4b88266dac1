"""`bptt.check` says right, wrong or cannot tell, says where, and is not fooled by its own errors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.checking import SubjectError, assert_gradients, check, check_file, text
from bptt.checking.numeric import central_differences, complex_step, derivative, numerical_gradient
from bptt.checking.relations import where_wrong
from bptt.cli import run as command
from bptt.types import Array, Params
from command import Capture
from judged.people import source
from judged.people_lines import Style


def point(seed: int = 0) -> Params:
    rng = np.random.default_rng(seed)
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
    judgement = check(layer(), point())
    assert judgement.verdict == "right"
    assert judgement.method == "complex step"
    assert {g.name for g in judgement.gradients} == {"x", "W", "b"}
    assert max(g.error for g in judgement.gradients) < 1e-13
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


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (double, "W", "the right one times 2"),
        (zero, "b", "exactly zero"),
        (itself, "W", "the array W itself"),
        (seeded, "W", "the right one plus W itself"),
        (infinite, "x", "not finite"),
    ],
)
def test_wrong_and_what_it_is_instead(
    change: Callable[[Params, Params], None], name: str, words: str
) -> None:
    judgement = check(layer(change), point())
    verdicts = {g.name: g.verdict for g in judgement.gradients}
    assert judgement.verdict == "wrong"
    assert verdicts == {"x": "right", "W": "right", "b": "right"} | {name: "wrong"}
    (wrong,) = (g for g in judgement.gradients if g.verdict == "wrong")
    assert wrong.where is not None
    assert wrong.where.relation == words
    with pytest.raises(AssertionError, match="the backward pass is wrong"):
        assert_gradients(layer(change), point())


def test_wrong_blocks_are_named() -> None:
    (wrong,) = (g for g in check(layer(columns), point()).gradients if g.verdict == "wrong")
    assert wrong.where is not None
    assert wrong.where.blocks == "columns 2:4 of 4"
    assert wrong.where.index[1] >= 2


def test_columns_without_a_gradient_show_nothing() -> None:
    """Three tokens of six occur: the weights of the others have no gradient, and are no right columns."""
    right = np.random.default_rng(0).normal(size=(4, 6)) * [1, 0, 0, 1, 0, 1]
    assert where_wrong("W", 2.5 * right + (right != 0), {"W": right}, {}, 1e-9).blocks == ""
    wrong = right + [[1], [1], [0], [0]] * (right != 0)
    assert where_wrong("W", wrong, {"W": right}, {}, 1e-9).blocks == "rows 0:2 of 4"


@pytest.mark.parametrize("factor", [1 + 1e-6, 1 - 1e-4])
def test_a_small_error_is_no_right(factor: float) -> None:
    def change(g: Params, p: Params) -> None:
        g["W"] = factor * g["W"]

    assert check(layer(change), point()).verdict == "wrong"


def test_transposed_and_permuted() -> None:
    rng = np.random.default_rng(0)
    right = {"U": rng.normal(size=(4, 4)), "W": rng.normal(size=(3, 8))}
    where = where_wrong("U", right["U"].T, right, {}, 1e-9)
    assert where.relation == "the right one transposed"
    i, f, o, g = np.split(right["W"], 4, axis=1)
    where = where_wrong("W", np.concatenate([f, i, o, g], axis=1), right, {}, 1e-9)
    assert where.relation == "the right one with its 4 blocks of columns in the order 1, 0, 2, 3"


def test_code_that_is_not_analytic_is_differenced() -> None:
    """abs takes complex numbers and is not analytic in them: believing the complex step would be wrong."""

    def f(p: Params) -> tuple[Any, Params]:
        return (np.abs(p["x"]) ** 2).sum(), {"x": 2 * p["x"]}

    judgement = check(f, {"x": np.array([0.5, -1.5])})
    assert (judgement.verdict, judgement.method) == ("right", "central differences")


def test_single_precision_is_not_called_wrong_for_its_rounding() -> None:
    def f(p: Params) -> tuple[Any, Params]:
        x = p["x"].astype(np.float32)
        y = np.tanh(x)
        return float((y * y).sum()), {"x": 2 * y * (1 - y * y)}

    assert check(f, {"x": np.linspace(-1, 2, 7)}).verdict in ("right", "cannot tell")


def test_a_random_forward_cannot_be_told() -> None:
    rng = np.random.default_rng(0)

    def f(p: Params) -> tuple[Any, Params]:
        keep = rng.random(p["x"].shape) > 0.5
        return (keep * p["x"]).sum(), {"x": keep.astype(float)}

    judgement = check(f, {"x": np.ones(5)})
    assert judgement.verdict == "cannot tell"
    assert "draws at random" in text(judgement)


def test_a_kink_at_the_point_cannot_be_told() -> None:
    def f(p: Params) -> tuple[Any, Params]:
        return np.maximum(p["x"].real, 0).sum(), {"x": (p["x"] > 0).astype(float)}

    judgement = check(f, {"x": np.array([0.0, 1.0])})
    assert judgement.verdict == "cannot tell"
    assert "kink" in text(judgement)


def test_gradients_that_grow_are_reported() -> None:
    left = np.zeros(3)

    def f(p: Params) -> tuple[Any, Params]:
        nonlocal left
        left = left + 2 * p["x"]
        return (p["x"] ** 2).sum(), {"x": left}

    judgement = check(f, {"x": np.array([1.0, 2.0, 3.0])})
    assert any("a second call gives other gradients" in effect for effect in judgement.side_effects)


@pytest.mark.parametrize(
    "f",
    [lambda p: None, lambda p: 1.0, lambda p: (np.ones(3), {"x": np.ones(3)}), lambda p: 1 / 0],
    ids=["none", "no gradients", "no scalar", "raises"],
)
def test_what_is_no_loss_and_gradients_is_told_in_a_line(f: Callable[[Params], Any]) -> None:
    with pytest.raises(SubjectError) as told:
        check(f, {"x": np.ones(3)})
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("factor", [1.0, 1 + 1e-5])
def test_what_hardly_matters_is_not_taken_for_single_precision(factor: float) -> None:
    """A loss that depends on an array by its 8th digit alone: in the 12th nothing changes, nor should it."""

    def f(p: Params) -> tuple[Any, Params]:
        return 7 + p["x"].sum() + 1e-7 * np.sin(p["w"]).sum(), {
            "x": np.ones_like(p["x"]),
            "w": factor * 1e-7 * np.cos(p["w"]),
        }

    judgement = check(f, {"x": np.array([0.1, 0.2]), "w": np.array([0.4, 1.1])})
    assert judgement.verdict == ("right" if factor == 1 else "wrong")


def test_our_own_model_is_right() -> None:
    rng = np.random.default_rng(0)
    model = bptt.Model(inputs=5, outputs=5, hidden=3, embedding=2, layers=2)
    tokens = rng.integers(5, size=(4, 2))
    params = {name: rng.normal(size=shape) for name, shape in model.shapes.items()}
    judgement = check(lambda p: model.loss_and_grads(p, tokens[:-1], tokens[1:]), params)
    assert judgement.verdict == "right"
    assert max(g.error for g in judgement.gradients) < 1e-11


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

    judgement = check(jax.value_and_grad(loss), point())
    assert judgement.verdict == ("right" if sign < 0 else "wrong")


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
    at = {"x": np.array([0.3, -0.7, 2.0])}

    def f(p: Params) -> Any:
        return (np.sin(p["x"]) * np.exp(p["x"])).sum()

    wanted: Array = np.exp(at["x"]) * (np.sin(at["x"]) + np.cos(at["x"]))
    assert np.allclose(complex_step(f, at)["x"], wanted, rtol=1e-14, atol=0)
    gradient, estimate = central_differences(f, at)
    assert (np.abs(gradient["x"] - wanted) <= estimate["x"]).all()
    assert estimate["x"].max() < 1e-8
    assert numerical_gradient(f, at, np.random.default_rng(0)).method == "complex step"


# ---------------------------------------------------------------------- files and the command

STEP = """
import numpy as np

def sigmoid(a):
    return 1 / (1 + np.exp(-a))

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    a = x @ Wx + prev_h @ Wh + b
    i, f, o, g = np.split(a, 4, axis=1)
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    return next_h, next_c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c)

def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    t = np.tanh(next_c)
    dc = dnext_c + dnext_h * o * (1 - t * t)
    da = np.concatenate([
        dc * g * i * (1 - i), dc * prev_c * f * (1 - f), dnext_h * t * o * (1 - o), dc * i * (1 - g * g),
    ], axis=1)
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, prev_h.T @ da, da.sum(axis=0)
"""


def written(tmp_path: Path, code: str, name: str = "code.py") -> str:
    tmp_path.joinpath(name).write_text(code, encoding="utf-8")
    return str(tmp_path / name)


def test_a_right_step(tmp_path: Path, capsys: Capture) -> None:
    assert command(["check", written(tmp_path, STEP)]) == 0
    said = capsys.readouterr().out
    assert "the gradients are right" in said
    assert "lstm" in said


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("dc * prev_c * f", "dc * next_c * f", "df has c where c_prev belongs"),
        ("dc = dnext_c + dnext_h", "dc = dnext_h", "dc"),
        ("(1 - t * t)", "(1 + t * t)", "1 + tanh²"),
        ("da @ Wh.T, dc * f", "da @ Wh.T, dc", "dc_prev"),
    ],
)
def test_a_wrong_step_and_its_term(tmp_path: Path, capsys: Capture, old: str, new: str, says: str) -> None:
    path = written(tmp_path, STEP.replace(old, new))
    assert command(["check", path]) == 1
    said = capsys.readouterr().out
    assert says in said.split("what is wrong:")[1]
    assert command(["check", "--json", f"{path}:lstm_step_backward"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "wrong"
    assert {"id", "says", "match_error", "fix"} <= found["fault"].keys()
    assert found["fault"]["match_error"] < 1e-9
    assert {"name", "verdict", "error", "estimate", "first_wrong_T", "where"} <= found["gradients"][0].keys()


def test_the_wrong_gate_is_named(tmp_path: Path) -> None:
    (judgement,) = check_file(written(tmp_path, STEP.replace("dc * prev_c * f", "dc * next_c * f")))
    where = {g["name"]: g["where"] for g in judgement.to_json()["gradients"]}
    assert [where[name]["gates"] for name in ("Wx", "Wh", "b")] == [["f"]] * 3
    assert where["prev_c"] is None
    said = text(judgement)
    assert said.count("wrong only in the forget gate f (columns 4:8 of 16)") == 3


def test_the_least_time_and_the_lags_are_told(tmp_path: Path) -> None:
    code = source(Style("rnn", "sequence", "a"))
    (judgement,) = check_file(written(tmp_path, code.replace("dh_next = dh_prev", "pass")))
    said = text(judgement)
    assert "wrong T≥2" in said
    assert "xs is right at lag 0, wrong from lag 1" in said


BACK = "def lstm_step_backward(dnext_h, dnext_c, cache):\n"


@pytest.mark.parametrize(
    "body", ["import sys; sys.exit(0)", "return None", "yield 1", "raise KeyError('dh')", "1 / 0"]
)
def test_code_that_fails_gets_one_line(tmp_path: Path, capsys: Capture, body: str) -> None:
    path = written(tmp_path, STEP[: STEP.index(BACK)] + BACK + f"    {body}\n")
    assert command(["check", path]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("bptt: ")


def test_what_is_not_recognised_shows_the_adapter_to_write(tmp_path: Path, capsys: Capture) -> None:
    assert command(["check", written(tmp_path, "def f(x):\n    return x\n")]) == 2
    assert "--adapter FILE.py" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["nowhere.py", "."])
def test_no_such_file_is_told(capsys: Capture, path: str) -> None:
    assert command(["check", path]) == 2
    assert capsys.readouterr().err.count("\n") == 1
