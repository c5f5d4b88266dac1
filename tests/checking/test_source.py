"""What a user's file imports, and the file run as a script."""

import signal
import sys

import pytest

from bptt.checking.guard import guarded
from bptt.checking.source import load
from bptt.checking.subject import SubjectError
from source_files import Write
from source_files import write as write


class TestImports:
    def test_a_missing_import_speaks_only_when_used(self, write: Write) -> None:
        text = (
            "import not_there.pyplot as plt, math\nfrom not_there.layers import Dense, Layer\n"
            "class Net(Layer.Base):\n    def step(self, x):\n        return math.floor(x)\n"
            "def plot():\n    plt.figure()\ndef add(x):\n    return x + Dense\n"
        )
        source = load(write(text))
        assert set(source.missing) == {"plt", "Dense", "Layer"}
        assert source.namespace["Net"]().step(2.5) == 2
        with pytest.raises(SubjectError, match=r"lstm\.py:7: plt could not be imported \(.*:1: ModuleNot"):
            guarded(source.namespace["plot"])
        with pytest.raises(SubjectError, match=r"lstm\.py:9: Dense could not be imported"):
            guarded(source.namespace["add"], 1.0)
        with pytest.raises(SubjectError, match="Dense could not be imported"):
            source.namespace["Dense"](3)

    def test_modules_beside_the_file_give_their_definitions_and_do_not_run(self, write: Write) -> None:
        write("def relu(x):\n    return max(x, 0)\nwhile True:\n    pass\n", "layers.py")
        file = write("from layers import relu\nimport layers\nfrom layers import tanh\n")
        source = load(file, seconds=5.0)
        assert source.namespace["relu"](-1) == 0
        assert set(source.missing) == {"tanh"}
        assert "layers" not in sys.modules

    def test_relative_imports_of_a_package(self, write: Write) -> None:
        write("", "net/__init__.py")
        write("H = 7\nraise SystemExit\n", "net/sizes.py")
        source = load(write("from .sizes import H\nfrom net.sizes import H as K\n", "net/lstm.py"))
        assert (source.namespace["H"], source.namespace["K"]) == (7, 7)
        assert not source.missing

    def test_a_neighbour_that_fails_is_missing(self, write: Write) -> None:
        write("def f(:\n", "broken.py")
        assert "broken.py:1" in load(write("import broken\n")).missing["broken"]


class TestRun:
    def test_the_whole_file_runs_as_a_script(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        write("N = 3\n", "sizes.py")
        text = (
            "import sys, sizes\nx = 0\nfor i in range(sizes.N):\n    x += i\n    print(x)\n"
            "if __name__ == '__main__':\n    y = len(sys.argv)\n"
        )
        before = sys.argv, sys.path, sys.modules["__main__"]
        source = load(write(text), run=True)
        assert (source.namespace["x"], source.namespace["y"]) == (3, 1)
        assert source.output.split() == ["0", "1", "3"]
        assert capsys.readouterr().out == ""
        assert (sys.argv, sys.path, sys.modules["__main__"]) == before
        del sys.modules["sizes"]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("x = 1\nraise ValueError('bad\\nshape')\n", r"lstm\.py:2: ValueError: bad shape$"),
            ("import sys\nsys.exit(3)\n", r"lstm\.py:2: SystemExit: 3$"),
            ("exit()\n", r"lstm\.py:1: SystemExit"),
            ("raise KeyboardInterrupt\n", r"lstm\.py:1: KeyboardInterrupt$"),
            ("input('name? ')\n", r"lstm\.py:1: EOFError"),
            ("import not_there\n", r"lstm\.py:1: ModuleNotFoundError: No module named 'not_there'$"),
            ("def f():\n    return 1 / 0\nf()\n", r"lstm\.py:2: ZeroDivisionError"),
            ("import json\njson.loads('{')\n", r"lstm\.py:2: JSONDecodeError"),
            ("while True:\n    pass\n", r"lstm\.py:[12]: not finished within 0\.3 s$"),
            ("import time\ntime.sleep(60)\n", r"lstm\.py:2: not finished within 0\.3 s$"),
            ("return 1\n", r"lstm\.py:1: SyntaxError: 'return' outside function"),
        ],
    )
    def test_its_failures_are_its_own(self, write: Write, text: str, says: str) -> None:
        if "sleep" in text and not hasattr(signal, "setitimer"):
            pytest.skip("without timers a call that waits is not woken")
        with pytest.raises(SubjectError, match=says):
            load(write(text), run=True, seconds=0.3)
