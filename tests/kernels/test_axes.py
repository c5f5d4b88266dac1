"""Cells whose values have axes, or several operands, in kernels: equal to the reference loop."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, read
from bptt.kernels.backends import kernel
from bptt.kernels.cell import sequence
from bptt.kernels.cell.interface import Interface
from bptt.kernels.cell.onestep import OneStep
from bptt.kernels.llvm import nests
from bptt.kernels.llvm.host import host
from bptt.kernels.llvm.stages import ORDER
from bptt.layer import threads
from bptt.types import Array, Params
from gradcheck import TOLERANCE
from kernel_cases import FLAGS, compare, weights
from machine_code import cache as cache
from sampling import some
from shaped_cells import KNOWN
from whole_cells import cell_of

SEEDS = (3018, 3027, 3038, 3042, 3046, 3063)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", KNOWN)
def test_known_cells_equal_the_reference(name: str, dtype: str) -> None:
    if dtype == "bfloat16" and not host().avx512_bf16:
        pytest.skip("not a processor with bfloat16")
    rng, cell = np.random.default_rng(sum(map(ord, name))), KNOWN[name]
    sizes = [(T, N, J) for T in (1, 4) for N in (1, 2, 9) for J in (1, 4, 17)]
    for k, (T, N, J) in enumerate(some(sizes, 9)):
        kind = FLAGS[k % len(FLAGS)]
        worst = compare(cell, rng, dtype, T, N, J * cell.equations.heads, kind, tokens=k % 4 == 3)
        # of what bfloat16 rounds, two in a row may go the other way
        assert worst < TOLERANCE[dtype] * (1.5 if dtype == "bfloat16" else 1), (T, N, J, kind)


@pytest.mark.parametrize("seed", some(SEEDS, 3))
def test_drawn_cells_equal_the_reference(seed: int) -> None:
    rng, cell = np.random.default_rng(seed), cell_of(seed)
    for k in range(4):
        T, N, J = (int(rng.integers(1, most)) for most in (5, 9, 22))
        worst = compare(cell, rng, "float64", T, N, J * cell.equations.heads, FLAGS[k], tokens=k % 2 == 1)
        assert worst < TOLERANCE["float64"], cell.equations.text


def test_an_operand_that_reads_a_matrix_state_reads_none_of_a_step_that_is_left_out() -> None:
    """Of such a step none is kept, and what its products' gradients are, zeros, were multiplied with it."""
    text = """
@bptt.cell(state="h S", shapes={"S": "unit key", "a_0": "key", "a_1 x_2": "head"}, operand={"a_1": "q"},
           sizes={"key": 1})
def f(a_0, a_1, x_2, h, S):
    q = tanh(x_2 * S) + a_0
    return tanh(a_1) + h / 4, tanh(h * a_0) + S / 4
"""
    rng, cell = np.random.default_rng(0), EquationCell(read(text))
    for kind in FLAGS:
        assert compare(cell, rng, "float64", 3, 5, 4, kind, tokens=False) < TOLERANCE["float64"], kind


def arrays_of(cell: Any, T: int, N: int, H: int) -> tuple[Params, Array, Array]:
    """Return parameters, the input, and the gradient at the outputs."""
    rng = np.random.default_rng(3)
    D = H if "x" in cell.inputs else 5
    params = weights(cell, rng, D, H, "float32")
    given = {name: cell.width(name, H) for name in cell.inputs if name != "x"}
    params |= {name: rng.normal(size=(T, N, w)).astype("f") for name, w in given.items()}
    x, dy = rng.normal(size=(T, N, D)), rng.normal(size=(T, N, cell.width(cell.states[0], H)))
    return params, x.astype("f"), dy.astype("f")


def bits(run: Any, dy: Array) -> list[bytes]:
    """Return all that a run and its backward find."""
    grads = run.backward(dy)
    arrays = [run.y, *run.states, *grads.params.values(), grads.inputs, *grads.states]
    return [a.tobytes() for a in arrays]


@pytest.mark.parametrize("name", ["mlstm", "norm", "several"])
def test_axes_keep_the_bits_for_any_number_of_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = KNOWN[name]
    params, x, dy = arrays_of(cell, 4, 11, 42)
    mask = np.arange(4)[:, None] < np.arange(11) % 5
    for flags in (None, mask):
        found = []
        for count in (1, 2, 3, 4):
            monkeypatch.setattr(threads, "count", lambda count=count: count)
            found.append(bits(bptt.unroll(cell, params, x, mask=flags, backend="cpu"), dy))
        assert all(each == found[0] for each in found)


@pytest.mark.parametrize("name", KNOWN)
def test_a_program_of_axes_has_the_bits_of_the_first_run(name: str) -> None:
    from bptt.kernels.cell.planned import PlannedRun

    cell = KNOWN[name]
    params, x, dy = arrays_of(cell, 3, 7, 36)
    runs = [bptt.unroll(cell, params, x) for _ in range(4)]
    assert isinstance(runs[-1], PlannedRun)
    first, *others = [bits(run, dy) for run in runs]
    assert all(each == first for each in others)


@pytest.mark.parametrize("name", [n for n, cell in KNOWN.items() if not cell.inputs])
def test_single_steps_are_those_of_a_sequence(name: str) -> None:
    cell = KNOWN[name]
    params, x, _ = arrays_of(cell, 3, 2, 18)
    run = bptt.unroll(cell, params, x, backend="cpu")
    compiled = kernel("cpu", cell, np.dtype("f"))
    assert compiled is not None
    step = OneStep(compiled, params, cell.first_states(2, 18, np.float32), tokens=False)
    for t in range(3):
        step.input[...] = x[t]
        step.run()
        np.testing.assert_allclose(step.y, run.y[t], rtol=0, atol=1e-6)


def test_a_matrix_state_is_gone_over_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []

    def counted(v: Any, stages: Any, *rest: Any) -> None:
        found.append(sum(nest.axes == {*ORDER} for nest in stages.nests))

    monkeypatch.setattr(nests, "emit", counted)
    for name in ("mlstm", "gla"):
        sequence.module(Interface(KNOWN[name], "float32", host()))
    assert found == [1] * 4
