"""The notebooks of examples/ run from their beginning to their end, and show what their texts say."""

import re
from pathlib import Path
from typing import Any

import pytest

from kernel import Output, run

FOLDER = Path(__file__).parent.parent / "examples" / "notebooks"
BOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def read(name: str) -> Any:
    nbformat: Any = pytest.importorskip("nbformat")
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def executed(name: str, folder: Path) -> list[Output]:
    outputs = run(read(name), folder)
    assert [output.error for output in outputs if output.error] == []
    return outputs


@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_is_kept_without_outputs(name: str) -> None:
    nbformat: Any = pytest.importorskip("nbformat")
    book = read(name)
    nbformat.validate(book)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert len(cells) > 8
    assert [cell for cell in cells if cell.outputs or cell.execution_count is not None] == []
    assert book.metadata.kernelspec.name == "python3"


def test_by_hand_by_differences_and_derived_are_one(tmp_path: Path) -> None:
    outputs = executed("bptt_by_hand", tmp_path)
    text = [output.data.get("text/plain", "") for output in outputs]
    off = [float(found[1]) for one in text if (found := re.fullmatch(r"np\.float64\((\S+e-\d+)\)", one))]
    assert len(off) == 2
    assert max(off) < 1e-12
    assert any(one.startswith("loss_and_grads: the gradients are right") for one in text)
    assert sum("<math" in output.data.get("text/html", "") for output in outputs) == 3
    assert "['W', 'U', 'b']" in text


def test_the_wrong_term_is_found_and_mended(tmp_path: Path) -> None:
    outputs = executed("wrong_term", tmp_path)
    reports = [output.data["text/plain"] for output in outputs if output.data.get("text/html")]
    blind, found, right, third = reports
    assert "is wrong" in blind
    assert "dc = dc_next + dh * o * (1 - c ** 2)" in found
    assert "`c` stands where `np.tanh(c)` belongs" in found
    assert "the gradients are right" in right
    assert "(the right one times 0.5)" in third
    last = next(output.printed for output in outputs if "without" in output.printed).splitlines()[-1]
    mistaken, mended = map(float, re.findall(r"\d\.\d+", last))
    assert mended < 0.01 < 0.08 < mistaken


def test_what_is_remembered_is_found(tmp_path: Path) -> None:
    outputs = executed("what_an_lstm_remembers", tmp_path)
    printed = "\n".join(output.printed for output in outputs)
    assert float(re.findall(r"([\d.]+)% of the letters are", printed)[0]) > 90
    assert abs(float(re.findall(r"unit +\d+: ([+-][\d.]+)", printed)[0])) > 0.7
    chances = [float(p) for p in re.findall(r"comes with probability ([\d.]+)", printed)]
    assert chances[0] > 0.9
    assert chances[-1] < 0.4
