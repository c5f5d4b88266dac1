"""A gate whose gradient is zero whatever the numbers are is trained, and not without a word."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import bptt
from bptt.cells import States
from bptt.cli import run
from bptt.derive import EquationCell, read
from bptt.errors import ZeroGradientWarning
from bptt.zoo.equations import ZOO
from gradcheck import random_layer

STEP = (
    "@bptt.cell(state='h')\ndef step(a_h, a_g, h):\n    h = where(a_h > 1, 1, 0) + tanh(a_g)\n    return h\n"
)
IDLE = {
    STEP: ("a_h",),
    "@bptt.cell\ndef c(a_i, a_g):\n    return 0 * sigmoid(a_i) + a_g\n": ("a_i",),
    "@bptt.cell\ndef c(a_i, a_g):\n    return (a_i - a_i) + a_g\n": ("a_i",),
    "@bptt.cell\ndef c(a_i):\n    return where(a_i > 0, 1, -1)\n": ("a_i",),
    "@bptt.cell(params='p')\ndef c(a_i, p):\n    return a_i + 0 * p\n": ("p",),
    # no loss sees c, though it is carried through time
    "@bptt.cell(state='h c')\ndef c(a_i, a_o, c):\n    c = c + a_i\n    return tanh(a_o), c\n": ("a_i",),
    "@bptt.cell(state='h c m')\ndef c(a_i, a_o, c, m):\n    return tanh(a_o) + c, m, a_i\n": (),
    "@bptt.cell(state='h c')\ndef c(a_i, a_o, c):\n    return tanh(a_o) + 0 * c, c * a_i\n": ("a_i",),
    "@bptt.cell(operand={'a_n': 'q'})\ndef c(a_r, a_n, h):\n    q = a_r * h\n    return tanh(a_n)\n": (),
    "@bptt.cell(operand={'a_n': 'q'})\ndef c(a_r, a_n, h):\n    q = 0 * a_r + h\n    return tanh(a_n)\n": (
        "a_r",
    ),
    "@bptt.cell\ndef c(a_i, h):\n    return h + relu(a_i)\n": (),
    # zero by what is computed, not by how it is written
    "@bptt.cell\ndef c(a_i, a_g):\n    return a_i * where(a_g > a_g, a_g, 1)\n": ("a_g",),
    "@bptt.cell\ndef c(a_i, a_g, zero=0.0):\n    return a_i + zero * a_g\n": ("a_g",),
    "@bptt.cell\ndef c(a_i, a_g):\n    return a_i + max(a_g, 0) - relu(a_g)\n": ("a_g",),
    "@bptt.cell\ndef c(a_i, a_g):\n    return a_i * (sigmoid(a_g) + sigmoid(-a_g))\n": ("a_g",),
    "@bptt.cell\ndef c(a_i, a_g):\n    s = a_g + 1\n    return a_i * s - a_i * a_g - a_i\n": ("a_i", "a_g"),
    "@bptt.cell\ndef c(a_i, a_g):\n    return a_i + relu(-exp(a_g))\n": ("a_g",),
    "@bptt.cell(params='p')\ndef c(a_i, p):\n    return a_i + p / p\n": ("p",),
    "@bptt.cell(state='h c')\ndef c(a_i, a_o, c):\n    return a_o + abs(c) - max(c, -c), a_i\n": ("a_i",),
    # seldom, small, or far away is not never
    "@bptt.cell\ndef c(a_i, a_g):\n    return a_i + relu(a_g - 50)\n": (),
    "@bptt.cell\ndef c(a_i, a_g):\n    return a_i + relu(a_g - 5000) * relu(a_i)\n": (),
    "@bptt.cell\ndef c(a_i, a_g):\n    return a_i + 1e-30 * tanh(a_g)\n": (),
    "@bptt.cell\ndef c(a_i, a_g):\n    return a_i + tanh(0.001 * a_g + 12)\n": (),
    "@bptt.cell\ndef c(a_i, a_g):\n    return a_i + exp(-exp(a_g * a_g)) + sqrt(log(a_g))\n": (),
}
UNREAD = [text for text, names in IDLE.items() if names == ("a_i",) and "state='h c'" in text]


def use(cell: EquationCell) -> bptt.Gradients[States]:
    """Take steps, and return their gradients."""
    case = random_layer(np.random.default_rng(0), cell, bias="one")
    return case.run().backward(case.cotangents["y"])


@pytest.mark.parametrize("text", IDLE)
def test_a_gate_that_does_not_learn_is_told_once(text: str) -> None:
    cell = EquationCell(read(text))
    assert cell.idle == IDLE[text]
    if not cell.idle:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            use(cell)
        return
    with pytest.warns(ZeroGradientWarning) as told:
        grads, _ = (use(cell) for _ in range(2))
    (warning,) = told
    names = " and ".join(cell.idle)
    if text in UNREAD:  # it has a gradient, of a loss of the final state
        said = f"{cell.name}: the state of {names} never reaches the output, so a loss of the outputs"
        assert str(warning.message) == f"{said} does not train it"
    else:
        assert str(warning.message).startswith(f"{cell.name}: the gradient at {names} is zero")
    for name in cell.idle:  # and so they are
        if name in cell.units:
            assert np.abs(grads.params[name]).max() < 1e-13
        else:
            at = cell.from_x.index(name.removeprefix("a_")) * 3
            assert np.abs(grads.params["b"][at : at + 3]).max() < 1e-13
    assert pickle.loads(pickle.dumps(cell)).idle == cell.idle


def test_no_cell_of_the_zoo_has_one() -> None:
    assert not any(cell.idle for cell in ZOO.values())


def test_training_says_it_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cells.py").write_text("import bptt\n" + STEP)
    Path("text.txt").write_text("to be or not to be, that is the question. " * 200)
    small = ["--hidden", "4", "--steps", "2", "--batch", "2", "--chunk", "4", "--out", "run"]
    assert run(["train", "text.txt", "--cell", "cells.py:step", *small]) == 0
    note = "bptt: note: step: the gradient at a_h is zero whatever the numbers are, so it does not learn"
    assert capsys.readouterr().err == f"{note} (bptt derive shows why)\n"
    assert run(["train", "--resume", "run", "--steps", "4"]) == 0
    assert capsys.readouterr().err.startswith(note)
    assert run(["derive", "cells.py:step"]) == 0
    assert "da_h = 0" in capsys.readouterr().out
