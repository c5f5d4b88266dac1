"""Cells in other processes: pickled, copied, spawned."""

import copy
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.cells import CELLS, Cell
from bptt.zoo import record
from bptt.zoo.equations import ZOO
from spawned import all_by_child, spread, used


def made(init: Any = None) -> Any:
    @bptt.cell(state="h c", params={"p": (-1, 1)}, operand={"a_g": "q"}, init=init, name="Made-here")
    def leaky(a_f, a_g, c, p, keep=0.9):  # type: ignore[no-untyped-def]
        """A cell of the tests."""
        f = sigmoid(a_f)  # type: ignore[name-defined]  # noqa: F821
        q = f * c
        c = keep * q + p * tanh(a_g)  # type: ignore[name-defined]  # noqa: F821
        return tanh(c), c  # type: ignore[name-defined]  # noqa: F821

    return leaky


def expect_same(a: Any, b: Any) -> None:
    (y, grads), (y_b, grads_b) = used(a), used(b)
    np.testing.assert_array_equal(y, y_b)
    for name in grads:
        np.testing.assert_array_equal(grads[name], grads_b[name])


@pytest.mark.parametrize("init", [None, {"a_f": 1.0}, spread], ids=["none", "dict", "function"])
@pytest.mark.parametrize("protocol", [0, pickle.DEFAULT_PROTOCOL])
def test_a_cell_pickles_before_and_after_use(init: Any, protocol: int) -> None:
    cell = made(init)
    before = pickle.loads(pickle.dumps(cell, protocol))
    expect_same(cell, before)
    for copied in (pickle.loads(pickle.dumps(cell, protocol)), pickle.loads(pickle.dumps(before, protocol))):
        assert record.same(copied, cell)
        assert (copied.name, copied.__doc__) == ("Made-here", "A cell of the tests.")
        np.testing.assert_equal(
            copied.start(np.random.default_rng(0), 4), cell.start(np.random.default_rng(0), 4)
        )
        expect_same(cell, copied)


@pytest.mark.parametrize(
    "cell", [*CELLS.values(), *ZOO.values()], ids=lambda c: f"{type(c).__name__}-{c.name}"
)
def test_a_cell_that_bptt_has_stays_itself(cell: Cell) -> None:
    assert pickle.loads(pickle.dumps(cell)) is cell
    assert copy.copy(cell) is cell
    assert copy.deepcopy({"cell": cell})["cell"] is cell


def test_a_copy_is_the_cell() -> None:
    cell = made(lambda rng, H: {"a_f": 1.0})
    assert copy.copy(cell) is cell
    assert copy.deepcopy([cell])[0] is cell
    assert copy.deepcopy(bptt.Model(inputs=3, outputs=3, hidden=4, cell=cell)).stack.cell is cell


def test_an_init_that_cannot_be_imported_says_so() -> None:
    cell = made(lambda rng, H: {"a_f": 1.0})
    with pytest.raises(pickle.PicklingError, match=r"Made-here: init= is a function .* init=\{"):
        pickle.dumps(cell)


def test_a_cell_of_a_file_pickles(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    text = "import bptt\nK = 0.5\n@bptt.cell(init={'a_h': K})\ndef one(a_h, h):\n    return K * h + a_h\n"
    file.write_text(text)
    cell = bptt.zoo.get(f"{file}:one")
    file.unlink()
    expect_same(cell, pickle.loads(pickle.dumps(cell)))


def test_a_spawned_process_runs_it() -> None:
    cells = [made({"a_f": 1.0}), made(spread), CELLS["lstm"], ZOO["slstm"]]
    for cell in cells:
        used(cell)  # the code that was made for it stays behind
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=all_by_child, args=(cells, queue))
    child.start()
    answers = [queue.get(timeout=120) for _ in cells]
    child.join(timeout=60)
    assert child.exitcode == 0
    for cell, (back, (y, grads)) in zip(cells, answers, strict=True):
        assert record.same(back, cell)
        expected, expected_grads = used(cell)
        np.testing.assert_array_equal(y, expected)
        for name in grads:
            np.testing.assert_array_equal(grads[name], expected_grads[name])
