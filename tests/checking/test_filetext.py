"""The text of a user's file: Python 2, notebooks, encodings, and files that are none."""

import json
from pathlib import Path

import numpy as np
import pytest

from bptt.checking.guard import guarded
from bptt.checking.source import load
from bptt.checking.subject import SubjectError
from bptt.errors import DataError
from source_files import Write, defined
from source_files import write as write

PYTHON2 = '''\
"""print this, not that"""
import sys
print
print "a", 'b'
print ("a %d"
       % 2), 3
print >>sys.stderr, "x", 1,
if True: print "y"; print 'z'
def f(d, n):
\ttotal = 0
\tfor i in xrange(n):
        \ttotal += i
\tfor k, v in d.iteritems():
\t\ttotal += v
\ttry:
\t\traise ValueError, "no"
\texcept (ValueError, KeyError), error:
\t\tprint >>sys.stderr
\t\treturn total, str(error), range(2) + map(abs, [-1])
'''


class TestPython2:
    def test_what_is_only_spelled_otherwise_is_read(self, write: Write) -> None:
        source = load(write(PYTHON2))
        assert guarded(source.namespace["f"], {"a": 10}, 4) == (16, "no", [0, 1, 1])
        assert "Python 2" in source.notes[0]
        assert source.skipped == [3, 4, 5, 7, 8, 8] or source.skipped == [3, 4, 5, 7, 8]
        assert source.where("f") == (9, 19)
        assert "xrange" not in source.namespace

    def test_print_with_its_target(self, write: Write) -> None:
        file = write("import sys\nprint >>sys.stdout, 'a', 2\nprint >>sys.stdout, 'b',\nprint 'c'\n")
        assert load(file, run=True).output.split() == ["a", "2", "b", "c"]

    def test_xrange_is_known_in_files_that_are_python_3_otherwise(self, write: Write) -> None:
        assert load(write("def f():\n    return list(xrange(2))\n")).namespace["f"]() == [0, 1]

    @pytest.mark.parametrize(
        ("text", "line"),
        [("x = 1\ndef f(a, (b, c)):\n    pass\n", 2), ("a b c\n", 1), ("def f(:\n", 1), ("x = (1,\n", 1)],
    )
    def test_what_cannot_be_read_is_named_by_line(self, write: Write, text: str, line: int) -> None:
        with pytest.raises(SubjectError, match=rf"lstm\.py:{line}: not Python 3, nor simple Python 2: .+"):
            load(write(text))


def notebook(*codes: str | list[str]) -> str:
    cells: list[dict[str, object]] = [{"cell_type": "markdown", "source": ["# LSTM"]}]
    cells += [{"cell_type": "code", "source": code, "outputs": []} for code in codes]
    return json.dumps({"cells": cells, "nbformat": 4, "metadata": {}})


class TestNotebooks:
    def test_code_cells_are_joined_and_magics_dropped(self, write: Write) -> None:
        text = notebook(
            ["%matplotlib inline\n", "!pip install x\n", "H = 4\n", "files = !ls\n", "H?\n"],
            "%%bash\nrm -rf nothing",
            "%%time\nif H:\n    %pylab\ndef f(x):\n    return x + H\nprint('%d'\n  % H)",
            "def g():\n\n    raise ValueError('no')",
        )
        source = load(write(text, "lstm.ipynb"))
        assert source.namespace["f"](1) == 5
        assert source.place(source.where("f")[0]).endswith("lstm.ipynb: cell 3, line 4")
        with pytest.raises(SubjectError, match=r"lstm\.ipynb: cell 4, line 3: ValueError: no"):
            guarded(source.namespace["g"])

    def test_the_older_format(self, write: Write) -> None:
        text = json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": "H = 4"}]}]})
        assert defined(load(write(text, "old.ipynb"))) == {"H": 4}

    def test_a_cell_that_does_not_parse_is_named(self, write: Write) -> None:
        with pytest.raises(SubjectError, match=r"lstm\.ipynb: cell 2, line 2: not Python"):
            load(write(notebook("x = 1", "y = 2\nx ="), "lstm.ipynb"))

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"cells": [1]}', '{"cells": 3}'])
    def test_what_is_no_notebook(self, write: Write, text: str) -> None:
        with pytest.raises(DataError, match="not a Jupyter notebook"):
            load(write(text, "lstm.ipynb"))


class TestFiles:
    def test_files_that_are_none(self, write: Write, tmp_path: Path) -> None:
        for file, says in [
            (tmp_path, "a directory"),
            (tmp_path / "none.py", "no such file"),
            (write("", "empty.py"), "no code"),
            (write(" \n\n", "blank.py"), "no code"),
            (write(notebook(), "empty.ipynb"), "no code"),
            (write(b"\x7fELF\0\0", "binary.py"), "not a file of text"),
            (write(b"x = '\xe9'\n", "latin.py"), "neither UTF-8"),
            (write(b"# coding: nonsense\nx = 1\n", "cookie.py"), "neither UTF-8"),
        ]:
            with pytest.raises(DataError, match=says) as caught:
                load(file)
            assert str(caught.value).startswith(str(file))
            assert "\n" not in str(caught.value)

    def test_encodings_and_line_ends(self, write: Write) -> None:
        assert defined(load(write(b"# -*- coding: latin-1 -*-\r\nx = '\xe9'\r\n"))) == {"x": "é"}
        assert defined(load(write(b"\xef\xbb\xbfx = 1\ry = 2\n"))) == {"x": 1, "y": 2}

    def test_where(self, write: Write) -> None:
        text = (
            "import numpy as np\nclass A:\n    def f(self):\n        pass\n"
            "g = lambda: 1\nW = np.zeros(\n  3)\n"
        )
        source = load(write(text))
        names = source.namespace
        assert source.where("A") == source.where(names["A"]) == (2, 4)
        assert source.where("A.f") == source.where(names["A"].f) == source.where(names["A"]().f) == (3, 4)
        assert source.where("g") == source.where(names["g"]) == (5, 5)
        assert source.where("W") == source.where(names["W"]) == (6, 7)
        assert source.lines[source.where("W")[0] - 1] == "W = np.zeros("
        for other in ("h", len, np.zeros(3)):
            with pytest.raises(DataError, match="not defined there"):
                source.where(other)
