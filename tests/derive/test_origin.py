"""Where a cell's text comes from: a prompt, a notebook, a text by itself; an error names the place."""

import linecache
import subprocess
import sys
from pathlib import Path

import pytest

import bptt
from bptt.derive import EquationError, read

MINE = '@bptt.cell(state="h")\ndef mine(a_h, h):\n    return tanh(a_h) * h\n'


def test_at_the_prompt(tmp_path: Path) -> None:
    """Python up to 3.12 forgets what is typed; later ones know it, and the cell is made."""
    typed = 'import bptt\n@bptt.cell(state="h")\ndef mine(a_h, h):\n    return a_h * h\n\n\nprint(mine)\n'
    command = [sys.executable, "-i", "-q"]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    said = done.stdout + done.stderr
    assert "<cell mine" in said or "<stdin>:1: mine: its text is not at hand" in said
    assert "bptt.derive.read" in said or "<cell mine" in said


def test_in_a_notebook() -> None:
    """A notebook gives each cell of its own a text that only Python's line cache knows."""

    def entered(text: str, name: str) -> None:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), {"bptt": bptt})

    entered(MINE, "<ipython-input-1-abc>")
    with pytest.raises(
        EquationError, match=r"^<ipython-input-2-abc>:3: mine: the function tanH is not known"
    ):
        entered(MINE.replace("tanh", "tanH"), "<ipython-input-2-abc>")
    namespace = {"bptt": bptt}
    for k in (3, 4):  # entered again, it is no second one of its name
        name = f"<ipython-input-{k}-abc>"
        linecache.cache[name] = (len(MINE), None, MINE.splitlines(keepends=True), name)
        exec(compile(MINE, name, "exec"), namespace)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "cells.txt:11: the equations are one function"),
        ("", "cells.txt:11: the equations are one function"),
        ("def h(a_h):\n    return a_h\n", "cells.txt:11: h: a cell wants its decorator"),
        (
            "\n\n@cell(state=h)\ndef h(a_h):\n    return a_h\n",
            "cells.txt:13: h: cell(...) takes plain values",
        ),
        ("@cell('h')\ndef h(a_h):\n    return a_h\n", "cells.txt:11: h: cell(...) takes plain values"),
        ("def h(a_h):\n  a = (\n", "cells.txt:12: this is not Python"),
        ("def h(a_h):\n    return a_h \0\n", "cells.txt:11: this is not Python"),
        ("@cell(state='h')\ndef h(a_h):\n    return b\n", "cells.txt:13: h: b is not known"),
        ("    @cell()\n    def h(a_h):\n        return b\n", "cells.txt:13: h: b is not known"),
        (
            "\n    @cell()\n    def h(a_h):\n  # far left\n        return b\n",
            "cells.txt:15: h: b is not known",
        ),
    ],
)
def test_a_text_by_itself(text: str, says: str) -> None:
    with pytest.raises(EquationError) as caught:
        read(text, file="cells.txt", first_line=11)
    assert str(caught.value).startswith(says)
