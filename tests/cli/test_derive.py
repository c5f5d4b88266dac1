"""``bptt derive``, and the cells it takes: a name, a file, a name in a file; one line for each mistake."""

import os
from pathlib import Path

import pytest

import bptt
from bptt.cli import run
from bptt.zoo import load

LEAKY = '''import bptt
from beside import KEEP

print("a file may print")


@bptt.cell(state="h")
def leaky_one(a_h, h):
    """A leaky unit."""
    h = KEEP * h + (1 - KEEP) * tanh(a_h)
    return h


if __name__ == "__main__":
    raise RuntimeError("run as a program")
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("KEEP = 0.9\n")
    path = tmp_path / "cells.py"
    path.write_text(LEAKY)
    return path


def test_a_name_prints_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["derive", "lstm"]) == 0
    out, err = capsys.readouterr()
    assert out == bptt.derive.page(load("lstm"))
    assert err == ""


@pytest.mark.parametrize("spec", ["", ":leaky_one", ":leaky-one"])
def test_a_file_is_run_and_its_cell_taken(file: Path, spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["derive", f"{file}{spec}"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("leaky-one: ")
    assert "A leaky unit." in out
    assert err == "a file may print\n"  # not between the lines of the page


def test_out_is_written_whole_and_its_name_says_which_format(tmp_path: Path) -> None:
    for name, start in (
        ("a.tex", "\\documentclass"),
        ("a.md", "# "),
        ("a.html", "<!DOCTYPE"),
        ("a.py", '"""'),
    ):
        assert run(["derive", "gru", "--out", os.fspath(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text("utf-8").startswith(start)
    assert run(["derive", "gru", "--format", "text", "--out", os.fspath(tmp_path / "a.md")]) == 0
    assert (tmp_path / "a.md").read_text("utf-8") == bptt.derive.page(load("gru"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.md", "a.py", "a.tex"]


@pytest.mark.parametrize(
    ("text", "spec", "says"),
    [
        ("", "nolstm", "no cell is called 'nolstm'; like it are lstm, "),
        (LEAKY, "cells.py:nothing", "cells.py: no cell is called 'nothing'; there are leaky-one"),
        ("x = 1\n", "cells.py", "cells.py defines no cell (see bptt.cell)"),
        ("x = 1\n\nx = 1 / 0\n", "cells.py", "cells.py:3: ZeroDivisionError: division by zero"),
        ("x = 1\nx = (1\n", "cells.py", "cells.py:2: this is not Python: '(' was never closed"),
        ("import nowhere_at_all\n", "cells.py", "cells.py:1: ModuleNotFoundError"),
        ("raise SystemExit\n", "cells.py", "cells.py:1: SystemExit"),
        (
            "from bptt.zoo.equations import gru, lstm\n",
            "cells.py",
            "cells.py has the cells gru, lstm: say which",
        ),
        (LEAKY.replace("tanh", "tan"), "cells.py", "cells.py:10: leaky-one: "),
        ("", "missing.py", "there is no file missing.py"),
    ],
)
def test_a_mistake_is_one_line(
    text: str,
    spec: str,
    says: str,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(file.parent)
    file.write_text(text)
    assert run(["derive", spec]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [line for line in err.splitlines() if line != "a file may print"]
    assert says in line


def test_the_file_that_the_cell_comes_from_is_not_overwritten(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["derive", f"{file}:leaky_one", "--out", os.fspath(file)]) == 2
    assert "is the file that the cell comes from" in capsys.readouterr().err
    assert file.read_text() == LEAKY


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["derive", "rnn", "--out", os.fspath(tmp_path / "none" / "x.tex")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_file_that_imports_from_the_zoo_means_its_own_cell(file: Path) -> None:
    file.write_text("from bptt.zoo.equations import lstm\n" + LEAKY)
    assert load(os.fspath(file)).name == "leaky-one"
    assert load(f"{file}:lstm").name == "lstm"


def test_how_cells_are_written_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["derive", "--notation"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("## The notation")
    assert "## What becomes of it" not in page
    assert run(["derive", "--notation", "heads"]) == 0
    found = capsys.readouterr().out
    assert 0 < len(found) < len(page)
    assert all(text in found for text in ("heads=4", '"key"'))
    assert run(["derive", "--notation", "nowhere_at_all"]) == 2
    assert "says nothing of 'nowhere_at_all'" in capsys.readouterr().err
    assert run(["derive", "--list"]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} >= {"lstm", "mamba", "lmu"}
    assert run(["derive"]) == 2


def test_a_refusal_says_where_what_is_right_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, ends in (
        ("h = a_h[0]", "(bptt derive --notation)"),
        ("h = tanh(h)", "(bptt derive --notation)"),
    ):
        (tmp_path / "c.py").write_text(
            f"import bptt\n@bptt.cell(state='h')\ndef c(a_h, h):\n    {line}\n    return h\n"
        )
        assert run(["derive", str(tmp_path / "c.py")]) == 2
        assert capsys.readouterr().err.rstrip().endswith(ends)
    with pytest.raises(bptt.derive.EquationError, match=r"\(bptt derive --notation operand\)$"):
        bptt.derive.read("def c(a_h): return a_h", options={"state": "h", "operand": {"a_h": "q"}})
