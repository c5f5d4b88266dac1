"""Files of any kind are read line for line, and what nobody reads is left out."""

import ast
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.checking.file import SubjectError, read
from bptt.errors import DataError
from subject_files import Write, defined, notebook
from subject_files import write as write

PYTHON2 = '''\
"""print this, not that"""
import sys
print
print "a", 'b'
print ("a %d"
       % 2), 3
print >>sys.stderr, "x", 1,
if True: print "y"; print 'z',
exec "q = 1" in {}
def f(d, n):
\ttotal = 0L
\tfor i in xrange(n):
        \ttotal += i
\tfor k, v in d.iteritems():
\t\ttotal += v
\ttry:
\t\tif d.has_key('a') and n <> 3:
\t\t\traise ValueError, "no"
\texcept (ValueError, KeyError), error:
\t\tprint >>sys.stderr
\t\treturn total, str(error), range(2) + d.keys(), `total`, 3 / 2
'''


class TestPython2:
    def test_what_is_only_spelled_otherwise_is_read(self, write: Write) -> None:
        source = read(write(PYTHON2))
        assert source.left_out == ()
        assert "Python 2" in source.notes[0]
        assert len(source.text.split("\n")) == len(PYTHON2.split("\n"))
        assert defined(source.path)["f"]({"a": 10}, 4) == (16, "no", [0, 1, "a"], "16", 1)

    def test_what_prints_is_kept(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        source = read(write("import sys\nprint >>sys.stdout, 'a', 2\nprint >>sys.stdout, 'b',\nprint 'c'\n"))
        exec(compile(source.tree, "", "exec"), {"__builtins__": source.builtins})
        assert capsys.readouterr().out.split() == ["a", "2", "b", "c"]

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("def f(): return xrange(3)[1] / 2", 0),
            ("from __future__ import division\ndef f(): return xrange(3)[1] / 2", 0.5),
            ("print 'x'\ndef f(): return 1. / 2 + 1 / 2.0 + 1 / 2", 1.0),
            ("import numpy as np\ndef f(): return np.float(3) / 2", 1.5),
            ("xrange = range\ndef f(): return xrange(3)[1] / 2", 0.5),
            ("def f():\n        if True:\n\t\treturn 1 / 2", 0),
        ],
    )
    def test_division_is_python_2s_where_the_file_is(self, write: Write, text: str, value: float) -> None:
        assert defined(write(text))["f"]() == value


class TestLeftOut:
    @pytest.mark.parametrize(
        ("text", "left", "reads"),
        [
            ("x = 1\ndef f(a, (b, c)):\n    pass\ny = 2\n", ["def f(a, (b, c)):"], "x = 1\npass\ny = 2"),
            ("x = (1,\ny = 2\n", ["x = (1,"], "pass\ny = 2"),
            ('x = """abc\ny = 2\n\n\nz = 3', ['x = """abc'], "pass\ny = 2\nz = 3"),
            ("a b\nc d\n\n# no\ne f\nx = 1", ["a b"], "pass\npass\npass\nx = 1"),
            ("    x = 1\n    y = = 2\n", ["y = = 2"], "x = 1\npass"),
            ("return 1\nx = 1", ["return 1"], "pass\nx = 1"),
            ("x = 1\n  y = 2\nz = 3", ["y = 2"], "x = 1\nz = 3"),
            (
                "@deco\n\n# why\ndef f():\n    x = = 1\n    return 2",
                ["x = = 1"],
                "@deco\ndef f():\n  pass\n  return 2",
            ),
            (
                "class A:\n    def f(\n        self,\n    ):\n        if x:\n            y = $\n"
                "        elif z:\n            return 1\n        else:\n            print 'no'\n",
                ["y = $"],
                "class A:\n def f(self):\n  if x:\n   pass\n  elif z:\n   return 1\n  else:\n   print('no')",
            ),
            (
                'x = "a" + \\\n"b"\n"""\nlong\n"""\ny =\nz = 1',
                ["y ="],
                'x = "a" + "b"\n"""\nlong\n"""\npass\nz = 1',
            ),
        ],
    )
    def test_the_smallest_statement_is(self, write: Write, text: str, left: list[str], reads: str) -> None:
        source = read(write(text))
        assert [one.what for one in source.left_out] == left
        assert all(text.split("\n")[one.line - 1].strip() == one.what for one in source.left_out)
        assert ast.unparse(source.tree) == ast.unparse(ast.parse(reads))
        assert source.text.count("\n") == len(text.removesuffix("\n").split("\n"))

    def test_of_a_damaged_text_every_line_keeps_its_place(self, write: Write) -> None:
        rng = random.Random(0)
        bits = [
            "(",
            ")",
            '"""',
            "'",
            "\\",
            "\n",
            "\t",
            "  ",
            ":",
            "@",
            "print ",
            "else:",
            "\f",
            "\r",
            "f'{",
            "`",
        ]
        for _ in range(60):
            text = PYTHON2
            for _ in range(rng.choice([1, 3, 9])):
                k = rng.randrange(len(text))
                text = text[:k] + rng.choice(bits) + text[k + rng.choice([0, 0, 4]) :]
            text += "\nH = 3\n"
            source = read(write(text))
            assert source.text.count("\n") == len(source.lines)
            assert source.encoded() == text.encode()
            rest = {one.line for one in source.left_out}
            assert len(rest) == len(source.left_out)

    @pytest.mark.skipif(sys.version_info >= (3, 12), reason="it can be read")
    def test_a_newer_pythons_syntax_says_so(self, write: Write) -> None:
        text = 'H = 3\ndef f(words):\n    print(f"{", ".join(words)}")\n    return H\ndef g[T](x): return x\n'
        found = read(write(text)).left_out
        assert [one.line for one in found] == [3, 5]
        assert all(one.why.startswith("this Python, 3.11, cannot read it: ") for one in found)
        assert defined(write(text))["f"](["a"]) == 3

    def test_prose_alone_is_no_python(self, write: Write) -> None:
        with pytest.raises(SubjectError, match=r"lstm\.py:2: not Python: invalid syntax$"):
            read(write("# An LSTM\nThis it is\nand no more\n"))


class TestNotebooks:
    def test_code_cells_are_joined_and_magics_dropped(self, write: Write) -> None:
        text = notebook(
            ["%matplotlib inline\n", "!pip install x\n", "H = 4\n", "files = !ls\n", "H?\n"],
            "%%bash\nrm -rf nothing",
            "",
            "%%time\nif H:\n    %pylab\ndef f(x):\n    return x + H",
            "from __future__ import print_function\ndef g(:\n\n  pass\ndef h(): return 3",
        )
        source = read(write(text, "my lstm (1).ipynb"))
        assert defined(source.path)["f"](1) == 5
        assert defined(source.path)["h"]() == 3
        [line] = [k + 1 for k, line in enumerate(source.text.split("\n")) if line.startswith("def f")]
        assert source.place(line).endswith("my lstm (1).ipynb: cell 4, line 4")
        assert [source.place(one.line) for one in source.left_out] == [f"{source.path}: cell 5, line 2"]

    def test_a_broken_cell_does_not_swallow_the_next(self, write: Write) -> None:
        source = read(write(notebook("x = (1,", '"""', "y = 2"), "lstm.ipynb"))
        assert source.text.split("\n") == ["pass", "pass", "y = 2", ""]

    def test_the_older_format(self, write: Write) -> None:
        text = json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": "H = 4"}]}]})
        assert defined(write(text, "old.ipynb")) == {"H": 4}

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"cells": [1]}', '{"cells": 3}', "[" * 100_000])
    def test_what_is_no_notebook(self, write: Write, text: str) -> None:
        with pytest.raises(DataError, match="not a Jupyter notebook"):
            read(write(text, "lstm.ipynb"))


class TestFiles:
    def test_files_that_are_none(self, write: Write, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo.py")
        for file, says in [
            (tmp_path, "a directory"),
            (tmp_path / "none.py", "no such file"),
            (tmp_path / "fifo.py", "not a file of text: it is a FIFO"),
            (write("", "empty.py"), "no code"),
            (write(" \n\n", "blank.py"), "no code"),
            (write("# H = 3\n", "comment.py"), "no code"),
            (write(notebook(), "empty.ipynb"), "no code"),
            (write(b"\x7fELF\0\0", "binary.py"), "not a file of text"),
        ]:
            with pytest.raises(DataError, match=says) as caught:
                read(file)
            assert str(caught.value).startswith(str(file))
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("raw", "notes"),
        [
            (b"# -*- coding: latin-1 -*-\r\nx = '\xe9'\r\ny = 2", 0),
            (b"# coding: nonsense\nx = '\xe9'\ny = 2", 1),
            (b"\n\x0cx = '\xe9'\ry = 2\n", 1),
            (b"\xef\xbb\xbf\nx = '\xc3\xa9'\r\ny = 2\n", 0),
            (b"s = '\x0c\x1c\xc2\x85'; x = '\xc3\xa9'\n# \xe2\x80\xa8\ny = 2", 0),
        ],
    )
    def test_encodings_and_line_ends(self, write: Write, raw: bytes, notes: int) -> None:
        source = read(write(raw))
        assert len(source.notes) == notes
        assert defined(source.path)["x"] == "é"
        [y] = [node.lineno for node in source.tree.body if ast.unparse(node) == "y = 2"]
        assert y == len(raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n").split(b"\n"))


def test_an_array_of_one_entry_is_a_number_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text("import math\ndef f(x): return math.exp(x), float(x), 'at %d, %.1f' % (3, x)\n")
    source = read(path)
    names: dict[str, Any] = {"__builtins__": source.builtins}
    exec(compile(source.tree, "code.py", "exec"), names)
    assert names["f"](np.array([[0.0]])) == (1.0, 0.0, "at 3, 0.0")
