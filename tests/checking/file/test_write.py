"""A file is written back as it was but for what changed."""

import json
import stat
from pathlib import Path

import pytest

from bptt.checking.file import SubjectError, read
from bptt.errors import RunError
from subject_files import Write, notebook
from subject_files import write as write


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a = 1\r\nb = 2", b"a = 1\r\nb = 3\r\nc = 4"),
        (
            b"# coding: latin-1\nif 1:\n        print '\xe9'\n\tb = 2\n",
            b"# coding: latin-1\nif 1:\n        print '\xe9'\n\tb = 3\n\tc = 4\n",
        ),
        (b"\xef\xbb\xbfx = = 1\rb = 2\r", b"\xef\xbb\xbfx = = 1\rb = 3\rc = 4\r"),
    ],
)
def test_only_what_changed_is_written(write: Write, raw: bytes, expected: bytes) -> None:
    file = write(raw)
    file.chmod(0o750)
    source = read(file)
    [line] = [line for line in source.text.split("\n") if "b = 2" in line]
    both = line.replace("b = 2", "b = 3") + "\n" + line.replace("b = 2", "c = 4")
    kept = source.replaced(source.text.replace(line, both)).write()
    assert file.read_bytes() == expected
    assert kept.read_bytes() == raw
    assert kept.parent == file.parent
    assert stat.S_IMODE(file.stat().st_mode) == 0o750


def test_a_notebook_stays_one_and_its_other_cells_stay_as_they_are(write: Write) -> None:
    before = notebook(["%pylab\n", "x = 1"], "print 'y'\ny = 2\n", "z = 3", indent=2)
    file = write(before, "lstm.ipynb")
    source = read(file)
    other = source.replaced(source.text.replace("y = 2", "y = 4\nw = 5").replace("x = 1", "x = 7"))
    assert other.place(5) == f"{file}: cell 2, line 3"
    assert [line for line in source.diff(other).split("\n") if line[:1] in "+-" and line] == [
        *("--- a/lstm.ipynb: cell 1", "+++ b/lstm.ipynb: cell 1", "-x = 1", "+x = 7"),
        *("--- a/lstm.ipynb: cell 2", "+++ b/lstm.ipynb: cell 2", "-y = 2", "+y = 4", "+w = 5"),
    ]
    other.write()
    text = file.read_text()
    cells = [cell["source"] for cell in json.loads(text)["cells"]]
    assert cells[1:] == [["%pylab\n", "x = 7"], "print 'y'\ny = 4\nw = 5\n", "z = 3"]
    unlike = [line for line in text.split("\n") if line not in before.split("\n")]
    assert len(unlike) == 2


def test_left_out_lines_stay_and_move(write: Write) -> None:
    file = write("a = 1\nx y\nb = 2\n")
    source = read(file)
    other = source.replaced("c = 0\n" + source.text)
    assert [(one.line, one.what) for one in other.left_out] == [(3, "x y")]
    assert "x y" in source.diff(other)
    assert "pass" not in source.diff(other)
    with pytest.raises(SubjectError, match=r"lstm\.py:2: not Python"):
        source.replaced("a = 1\nb =\n")


def test_nothing_of_somebody_elses_is_overwritten(write: Write, tmp_path: Path) -> None:
    file = write("a = 1\n")
    source = read(file)
    write("older", "lstm.py.orig")
    link = tmp_path / "link.py"
    link.symlink_to(file)
    read(link).replaced("a = 2\n").write()
    assert link.is_symlink()
    assert (file.read_text(), (tmp_path / "lstm.py.orig").read_text()) == ("a = 2\n", "older")
    with pytest.raises(RunError, match="changed since it was read"):
        source.replaced("a = 3\n").write()
