"""A step as a torch.autograd.Function: its numbers are bptt.unroll's; no fault is handed out."""

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.cli import run
from bptt.derive import EquationCell, page, read
from bptt.derive.as_torch import OWN
from bptt.derive.describe import describe
from bptt.derive.printed import prove_function
from bptt.derive.proof import ProofError
from bptt.layer.reference import unroll
from bptt.layer.shapes import layer_shapes
from bptt.zoo.equations import ZOO
from odd_cells import ODD
from pages import EVERYTHING, text_of
from processes import python
from random_cells import random_cell

CELLS = ZOO | ODD | {"everything": EquationCell(read(EVERYTHING))}


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prove as where torch is not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)


@cache
def step_of(name: str) -> str:
    """Return the text of a cell's module."""
    return page(CELLS[name], "torch")


def module(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "printed"}
    exec(compile(text, "printed", "exec"), names)
    return names


def case(cell: EquationCell, T: int, N: int, D: int, H: int) -> tuple[dict[str, Any], Any, Any]:
    """Return a layer's arrays, an input and states at which the equations give numbers."""
    rng = np.random.default_rng(1)
    shapes = layer_shapes(cell, D, H, "one" if cell.bias else "none")
    while True:
        params = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        x, states = rng.normal(size=(T, N, D)), tuple(rng.normal(size=(N, H)) for _ in cell.states)
        ran = unroll(cell, params, x, states)
        if all(np.isfinite(a).all() for a in (ran.y, *ran.states)):
            return params, x, states


def furthest(cell: EquationCell, names: dict[str, Any], sizes: tuple[int, int, int, int]) -> float:
    """Return by how much results and gradients differ from `bptt.unroll`'s, with and without the Function."""
    import torch

    params, x, states = case(cell, *sizes)
    ran = unroll(cell, params, x, states)
    rng = np.random.default_rng(2)
    dy, dstates = rng.normal(size=ran.y.shape), tuple(rng.normal(size=s.shape) for s in states)
    wanted = ran.backward(dy, dstates)
    taken = {n: p for n, p in params.items() if p.shape[-1] and not (n == "b" and not cell.from_x)}
    given = [torch.tensor(a, requires_grad=True) for a in (x, *states, *taken.values())]
    off = 0.0
    assert wanted.inputs is not None
    for options in ({}, {"apply": names["step"]}):
        results = names["unroll"](*given, **options)
        loss = sum((r * torch.from_numpy(d)).sum() for r, d in zip(results, (dy, *dstates), strict=True))
        grads = torch.autograd.grad(loss, given, allow_unused=True, materialize_grads=True)
        ours = [*results, *grads]
        theirs = [ran.y, *ran.states, wanted.inputs, *wanted.states, *(wanted.params[n] for n in taken)]
        for a, b in zip(ours, theirs, strict=True):
            assert a.shape == b.shape
            size = max(1.0, np.abs(b).max(initial=0))
            off = float(np.maximum(off, np.abs(a.detach().numpy() - b).max(initial=0) / size))
    return off


@pytest.mark.parametrize("name", CELLS)
def test_under_autocast_dtypes_go_together(name: str) -> None:
    torch = pytest.importorskip("torch")
    names = module(step_of(name))
    for lower in ((), (0,), range(1, 9), range(9)):
        params = names["parameters"](3, 4)
        given = [torch.randn(3, 2, 3), *(torch.randn(2, 4) for _ in CELLS[name].states)]
        given = [(g.bfloat16() if k in lower else g).requires_grad_() for k, g in enumerate(given)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            results = names["unroll"](*given, *params)
        sum(r.float().sum() for r in results).backward()
        assert all(a.grad is None or a.grad.dtype == a.dtype for a in (*given, *params))


@pytest.mark.parametrize("name", CELLS)
def test_a_step_makes_what_it_needs_on_its_inputs_device(name: str) -> None:
    torch = pytest.importorskip("torch")
    names = module(step_of(name))
    states = [torch.empty(2, 3, device="meta", requires_grad=True) for _ in CELLS[name].states]
    params = names["parameters"](4, 3, device="meta", dtype=torch.float32)
    results = names["unroll"](torch.empty(2, 2, 4, device="meta"), *states, *params)
    sum(r.sum() for r in results).backward()
    assert {r.device.type for r in results} == {"meta"}
    assert {p.grad.device.type for p in params if p.grad is not None} == {"meta"}


@pytest.mark.parametrize("name", CELLS)
def test_a_step_s_numbers_are_those_of_unroll_and_of_autograd(name: str) -> None:
    pytest.importorskip("torch")
    names = module(step_of(name))
    for sizes in ((4, 3, 2, 5), (3, 1, 1, 1), (2, 0, 3, 2)):
        assert furthest(CELLS[name], names, sizes) < 1e-12


@pytest.mark.parametrize("block", range(4))
def test_cells_that_nobody_would_write_have_their_step(block: int) -> None:
    pytest.importorskip("torch")
    for seed in range(300 + block, 324, 4):
        cell = EquationCell(read(random_cell(seed, largest=seed % 3 == 0), known={"OUTSIDE": -1.5}))
        assert furthest(cell, module(page(cell, "torch")), (3, 2, 2, 3)) < 1e-12, seed


def test_the_text_reads_as_people_write_it() -> None:
    text = page(ZOO["lstm"], "torch")
    assert "class LstmStep(torch.autograd.Function):" in text
    assert "def forward(ctx, x, h_prev, c_prev, W, U, b):" in text
    assert "a_i, a_f, a_o, a_g = torch.chunk(x @ W + h_prev @ U + b, 4, dim=-1)\n" in text
    assert "def backward(ctx, dh, dc_next):" in text
    assert "dc = dc_next + dh * o * (1 - tanh_c ** 2)  # (6)\n" in text
    assert "dW = x.T @ da if ctx.needs_input_grad[3] else None\n" in text
    assert re.findall(r"^import .*|^from .*", text, re.MULTILINE) == ["import torch"]
    text = page(ODD["choices"], "torch")
    for line in (
        "where_1 = torch.where(a_j < 0.1, torch.full_like(h_prev, -0.1), 1.5)",
        "max_1 = torch.clamp(a_i, min=floor)",
        "da_j = dr * torch.sign(a_j - a_i) + ds * ~(a_i > a_j)",
    ):
        assert line in text, line
    assert "clone" not in page(ZOO["slstm"], "torch")
    assert not re.search(rf"\b({'|'.join(OWN)}) = ", page(ODD["names"], "torch").split("def step")[0])


@pytest.mark.parametrize("name", ["gru-cho", "slstm", "states-that-are-others", "operand-that-is-a-state"])
def test_a_fault_in_any_line_of_a_step_is_refused_without_torch(name: str, no_torch: None) -> None:
    cell, made = CELLS[name], describe(CELLS[name])
    text = page(cell, "torch")
    planted = 0
    for found in re.finditer(r"^        (\w+) = (.*?)( if ctx.*)?(  #.*)?$", text, re.MULTILINE):
        if found[1] == "H" or found.start() > text.index("def step("):
            continue
        at, planted = found.span(2), planted + 1
        with pytest.raises(ProofError):
            prove_function(f"{text[: at[0]]}-({found[2]}){text[at[1] :]}", made, cell)
    assert planted > 15
    returned = re.findall(r"        return (.*)", text)[1].split(", ")
    swapped = text.replace(", ".join(returned), ", ".join([returned[0], "None", *returned[2:]]))
    with pytest.raises(ProofError, match=r"the printed gradient at .*_prev is off by"):
        prove_function(swapped, made, cell)


def test_a_fault_that_autograd_alone_sees_is_refused_where_torch_is() -> None:
    pytest.importorskip("torch")
    cell, made = ZOO["gru"], describe(ZOO["gru"])
    text = page(cell, "torch")
    start = text.index("def step(")
    with pytest.raises(ProofError, match=r"gru: .* autograd's gradients differ by"):
        prove_function(text[:start] + text[start:].replace("(1 - z)", "(1 + z)"), made, cell)


def test_what_is_done_to_a_state_in_place_is_done_to_no_other() -> None:
    torch = pytest.importorskip("torch")
    cell = ODD["states-that-are-others"]
    names = module(page(cell, "torch"))
    given = [torch.randn(2, 3) for _ in range(6)] + names["parameters"](3, 3)
    states = names["StatesThatAreOthersStep"].apply(*given)
    before = [s.detach().clone() for s in states]
    for k, state in enumerate(states):
        state.mul_(2).add_(k)
    for k, (s, value) in enumerate(zip(states, before, strict=True)):
        assert torch.equal(s, 2 * value + k)


def test_a_module_that_is_run_says_by_how_much_it_is_off() -> None:
    pytest.importorskip("torch")
    text = page(ZOO["indrnn"], "torch")
    done = python("-W", "error", "-I", "-c", text)
    assert (done.returncode, done.stderr) == (0, "")
    assert float(done.stdout.rsplit(":", 1)[1]) < 1e-14
    done = python(
        "-I", "-c", text.replace("dh_prev = da", "dh_prev = 2 * da").replace("dx_h * u", "-dx_h * u")
    )
    assert done.returncode == 1
    assert float(done.stdout.rsplit(":", 1)[1]) > 0.1


@pytest.mark.parametrize("name", ["names", "letters", "constants", "choices"])
def test_what_a_cell_calls_its_values_does_not_meet_what_the_module_does(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    exec(compile(step_of(name), "printed", "exec"), {"__name__": "__main__"})
    assert float(capsys.readouterr().out.rsplit(":", 1)[1]) < 1e-13


def test_a_step_says_where_float64_cannot_tell(no_torch: None) -> None:
    lost = EquationCell(read(text_of("return tanh(a_h) + 1e16 * h - 1e16 * h + 0.1 * h")))
    text = page(lost, "torch")
    assert "In 150 digits the gradients were right" in text
    assert "SystemExit" not in text


def test_without_torch_a_step_is_proven_and_printed_all_the_same() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import bptt; print(bptt.derive.page(bptt.zoo.load('rnn'), 'torch'), end='')"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == page(ZOO["rnn"], "torch")


def test_the_end_of_a_file_s_name_says_torch(tmp_path: Path) -> None:
    for name, imports in (
        ("step_torch.py", "torch"),
        ("STEP_TORCH.PY", "torch"),
        ("torch.py", "numpy as np"),
    ):
        assert run(["derive", "rnn", "--out", os.fspath(tmp_path / name)]) == 0
        assert f"\nimport {imports}\n" in (tmp_path / name).read_text("utf-8")


def test_the_docs_show_the_step_as_it_is_printed() -> None:
    docs = Path(__file__).parents[2] / "docs" / "derivations.md"
    if not docs.exists():
        pytest.skip("the docs are not here")
    shown = docs.read_text("utf-8").split("## A step in PyTorch")[1].split("```text\n")[1].split("```")[0]
    assert shown in page(ZOO["lstm"], "torch")
