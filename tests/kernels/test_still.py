"""What no step changes is computed once before a kernel's loop: gradients as the reference has them."""

import numpy as np
import pytest

import bptt
from bptt.derive.backward import Derivation
from bptt.derive.still import parts
from bptt.kernels.cell.sequence import _Backward
from bptt.layer import threads
from gradcheck import TOLERANCE
from kernel_cases import FLAGS, compare, weights
from machine_code import cache as cache


@bptt.cell(state="h c", operand={"a_n": "q"}, params={"r": (-1.0, 1.0), "p": 0.5}, scalars={"s": 0.3})
def gated(a_z, a_n, h, c, r, p, s):  # type: ignore[no-untyped-def]
    e = exp(r)  # noqa: F821
    w = e / (1 + p * p)
    q = e * h * sigmoid(a_z)  # noqa: F821, F841
    k = sigmoid(s) + stop(w)  # noqa: F821
    c = w * c + tanh(a_n)  # noqa: F821
    h = k * tanh(c) + floor(3 * p)  # noqa: F821
    return h, c


CELLS = {name: bptt.zoo.get(name) for name in ("s4d", "lru", "hgrn2", "unicornn")} | {"gated": gated}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kernels_have_the_gradients_of_the_reference(name: str, dtype: str) -> None:
    cell, rng = CELLS[name], np.random.default_rng(5)
    for kind, N, J in zip(FLAGS, (1, 7, 2, 9, 3, 5), (1, 17, 8, 3, 20, 4), strict=True):
        worst = compare(cell, rng, dtype, 4, N, J * cell.heads, kind, tokens=kind == "resets")
        assert worst < TOLERANCE[dtype], kind


@bptt.cell(state="h", params={"r": 0.5})
def planted(a_h, h, r):  # type: ignore[no-untyped-def]
    h = exp(r) * h + tanh(a_h)  # noqa: F821
    return h  # noqa: RET504


def test_a_pullback_that_is_left_out_is_seen(monkeypatch: pytest.MonkeyPatch, cache: object) -> None:
    monkeypatch.setattr(_Backward, "pull_back", lambda *_: None)  # of a cell that is compiled here alone
    assert compare(planted, np.random.default_rng(5), "float64", 4, 3, 5, "none", tokens=False) > 1e-3


def test_the_bits_are_those_of_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, found = np.random.default_rng(3), []
    params = weights(gated, rng, 5, 19, "float32")
    x, dy = (rng.normal(size=(4, 7, width)).astype("f") for width in (5, 19))
    for count in (1, 2, 3):
        monkeypatch.setattr(threads, "count", lambda count=count: count)
        grads = bptt.unroll(gated, params, x, backend="cpu").backward(dy)
        found.append([array.tobytes() for array in (*grads.params.values(), grads.inputs)])
    assert found[0] == found[1] == found[2]


def test_no_step_computes_what_is_still() -> None:
    eq = gated.equations
    found = parts(eq)
    assert found.still is not None
    assert set(found.moving.params) >= {*found.made}
    assert not any({*s.reads} <= {*eq.params} for s in found.moving.statements if s.function)
    assert "exp" not in str([line.expr for line in Derivation(found.moving).main.backward])
    assert parts(bptt.zoo.get("lstm-peephole").equations).still is None
