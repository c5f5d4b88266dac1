"""A user's file is read without being run, and its functions cannot hang, flood or end the check."""

import json
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.checking.guard import KEPT, guard, guarded
from bptt.checking.source import Source, load
from bptt.checking.subject import SubjectError
from bptt.errors import ConfigError, DataError


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str | bytes, name: str = "lstm.py") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    return write


Write = Callable[..., Path]


def own(source: Source) -> dict[str, Any]:
    return {k: v for k, v in source.namespace.items() if not k.startswith("__")}


CHUNK = """\
import numpy as np
data = open('not_there.txt').read()
chars = list(set(data))
data_size, vocab_size = len(data), len(chars)
hidden_size = 10
lr = 1e-1
sizes = [1, 2]
np.random.seed(0)
Wxh = np.random.randn(hidden_size, vocab_size) * 0.01
Whh = np.random.randn(hidden_size, hidden_size) * 0.01
bh = np.zeros((hidden_size, 1))
sigmoid = lambda x: 1 / (1 + np.exp(-x))
params = {}
params['b'] = np.zeros(hidden_size)
def forward(x):
    return Whh @ x + bh
class Net:
    def __init__(self):
        self.runs = open('not_there.txt')
    def step(self, x):
        return x
class Gate:
    pass
gate = Gate()
model = Net()
losses = [Net() for _ in range(3)]
while True:
    pass
if __name__ == "__main__":
    best = forward(bh)
"""


class TestDefinitions:
    def test_definitions_are_taken_and_what_runs_is_left(self, write: Write) -> None:
        source = load(write(CHUNK), seconds=5.0)
        assert source.unset == [
            *("data", "chars", "data_size", "vocab_size", "Wxh", "model", "losses", "best"),
        ]
        assert source.skipped == [2, 3, 4, 8, 9, 25, 26, 27, 30]
        names = own(source)
        assert names["hidden_size"] == 10
        assert names["lr"] == 0.1
        assert names["sizes"] == [1, 2]
        assert names["params"]["b"].shape == (10,)
        assert names["sigmoid"](0.0) == 0.5
        assert names["forward"](np.ones((10, 1))).shape == (10, 1)
        assert names["Net"].step(None, 3) == 3
        assert isinstance(names["gate"], names["Gate"]), "no code of the file runs where it is made"

    def test_module_parameters_are_the_same_in_every_load_and_leave_the_callers_random_state(
        self, write: Write
    ) -> None:
        file = write(CHUNK)
        before = np.random.get_state(legacy=False)["state"]["key"]  # noqa: NPY002
        first, second = load(file), load(file)
        np.testing.assert_array_equal(first.namespace["Whh"], second.namespace["Whh"])
        after = np.random.get_state(legacy=False)["state"]["key"]  # noqa: NPY002
        np.testing.assert_array_equal(after, before)

    def test_a_constant_that_needs_itself_is_unset(self, write: Write) -> None:
        source = load(write("a = b + 1\nb = a + 1\nc = 2\nd = c * 3\n"))
        assert source.unset == ["a", "b"]
        assert own(source) == {"c": 2, "d": 6}

    def test_a_name_set_again_by_what_runs_is_not_known_any_more(self, write: Write) -> None:
        source = load(write("V = 3\nV = len(open('words').read())\nW = [0] * V\nd = {}\nd['k'] = input()\n"))
        assert source.unset == ["V", "W", "d"]
        assert own(source) == {}

    @pytest.mark.parametrize(
        "line",
        [
            "x = train()",
            "x = [train() for _ in range(2)]",
            "x = list(map(train, [1]))",
            "x = (lambda: 1)()",
            "x = np.load('w.npy')",
            "x = np.loadtxt('w.txt')",
            "x = __import__('os').getcwd()",
            "x = os.system('true')",
            "x = eval('1')",
            "x = Net.make()",
            "x = 1 / 0",
            "x = input()",
        ],
    )
    def test_calls_into_the_files_own_code_or_the_world_are_not_made(self, write: Write, line: str) -> None:
        text = (
            "import os\nimport numpy as np\ndef train(*_): raise SystemExit\n"
            "class Net:\n    @staticmethod\n    def make(): raise SystemExit\n" + line + "\n"
        )
        source = load(write(text))
        assert source.unset == ["x"]
        assert source.skipped == [7]

    @pytest.mark.parametrize(
        ("line", "value"),
        [
            ("x = {w: i for i, w in enumerate('a b'.split())}", {"a": 0, "b": 1}),
            ("x: float = math.sqrt(4)", 2.0),
            ("x = np.zeros(4).reshape(2, 2).tolist()", [[0, 0], [0, 0]]),
            ("x = [f(4.0) for f in [math.sqrt]]", None),
            ("x = 1\nx += 2", 3),
            ("y, (x, *z) = 1, (2, 3)", 2),
            ("x = f'{math.pi:.2f}' if True else None", "3.14"),
            ("if 1 > 2:\n    x = 1\nelse:\n    x = 2", 2),
            ("try:\n    import not_there as x\nexcept ImportError:\n    x = 'other'", "other"),
            ("try:\n    xrange\nexcept NameError:\n    x = 1\nelse:\n    x = list(xrange(2))", [0, 1]),
        ],
    )
    def test_simple_expressions(self, write: Write, line: str, value: object) -> None:
        source = load(write(f"import math\nimport numpy as np\n{line}\n"))
        assert own(source).get("x") == value

    def test_a_partly_skipped_table_is_not_passed_off_as_whole(self, write: Write) -> None:
        source = load(write("p = {'a': 1}\np['b'] = open('w').read()\n"))
        assert source.unset == ["p"]

    def test_modules_are_not_changed(self, write: Write) -> None:
        load(write("import sys\nimport os\nsys.stdout = None\nos.environ['BPTT_TEST_XYZ'] = '1'\n"))
        import os

        assert sys.stdout is not None
        assert "BPTT_TEST_XYZ" not in os.environ

    def test_decorators_are_kept_and_left_off_only_where_they_are_missing(self, write: Write) -> None:
        text = (
            "import functools\nfrom not_there import jit\n"
            "def twice(f):\n    return functools.wraps(f)(lambda x: 2 * f(x))\n"
            "@twice\ndef f(x):\n    return x\n"
            "@jit(nopython=True)\ndef g(x: jit.Array) -> 'Any':\n    return x\n"
        )
        source = load(write(text))
        assert source.namespace["f"](2) == 4
        assert source.namespace["g"](2) == 2
        assert any("g: defined without its decorators" in note for note in source.notes)
        assert source.where("f") == source.where(source.namespace["f"]) == (5, 7)

    def test_dataclasses_and_future_annotations(self, write: Write) -> None:
        text = (
            "from __future__ import annotations\nfrom dataclasses import dataclass\n"
            "@dataclass\nclass Cache:\n    h: Missing\n    c: int = 2\n"
        )
        assert load(write(text)).namespace["Cache"](1).c == 2

    def test_a_definition_that_does_not_end_is_stopped(self, write: Write) -> None:
        file = write("def f(x=[i for i in iter(int, 1)]):\n    pass\n")
        with pytest.raises(SubjectError, match=r"lstm\.py:1: not finished within 0\.2 s"):
            load(file, seconds=0.2)


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
        assert own(load(write(text, "old.ipynb"))) == {"H": 4}

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
        assert own(load(write(b"# -*- coding: latin-1 -*-\r\nx = '\xe9'\r\n"))) == {"x": "é"}
        assert own(load(write(b"\xef\xbb\xbfx = 1\ry = 2\n"))) == {"x": 1, "y": 2}

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


LOOPS = """
def hang():
    while True:
        pass
def catch():
    while True:
        try:
            sum(range(10000))
        except:
            pass
def flood():
    while True:
        print("x" * 1000)
"""


class TestGuard:
    @pytest.mark.parametrize("name", ["hang", "catch", "flood"])
    @pytest.mark.parametrize("on_main", [True, False])
    def test_code_that_does_not_end_is_stopped(self, write: Write, name: str, on_main: bool) -> None:
        function = load(write(LOOPS)).namespace[name]
        said: list[str] = []

        def call() -> None:
            with pytest.raises(SubjectError) as caught:
                guarded(function, seconds=0.2)
            said.append(str(caught.value))

        started, tracer = time.monotonic(), sys.gettrace()
        if on_main:
            call()
        else:
            thread = threading.Thread(target=call)
            thread.start()
            thread.join(10)
        assert time.monotonic() - started < 5
        assert said
        assert "lstm.py:" in said[0]
        assert "not finished within 0.2 s" in said[0]
        assert sys.gettrace() is tracer

    def test_the_outer_time_holds_inside(self, write: Write) -> None:
        function = load(write(LOOPS)).namespace["hang"]
        started = time.monotonic()
        with pytest.raises(SubjectError, match="not finished"), guard(0.2):
            guarded(function, seconds=60.0)
        assert time.monotonic() - started < 5

    def test_time_left_over_does_not_ring_later(self) -> None:
        with guard(0.1):
            assert guarded(lambda: 1, seconds=5.0) == 1
        time.sleep(0.2)

    def test_code_between_calls_is_bounded_too(self) -> None:
        with pytest.raises(SubjectError, match=r"^not finished within 0\.1 s$"), guard(0.1):
            _ = [0 for _ in iter(int, 1)]

    def test_output_is_kept_up_to_a_bound(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        with guard(20.0) as printed:
            for _ in range(100):
                guarded(print, "x" * 10_000)
                guarded(print, "error", file=sys.stderr)
        assert len(printed) == KEPT
        assert capsys.readouterr() == ("", "")

    def test_warnings_and_floating_point_errors_are_silent_inside_and_as_before_outside(self) -> None:
        def noisy() -> Any:
            warnings.warn("old", DeprecationWarning, stacklevel=1)
            np.seterr(over="raise")
            return np.array([1.0]) / 0

        before = np.geterr()
        assert np.isinf(guarded(noisy))
        assert np.geterr() == before
        with pytest.warns(UserWarning, match="seen"):
            warnings.warn("seen", UserWarning, stacklevel=1)

    def test_exceptions_name_the_line_of_the_users_file(self, write: Write) -> None:
        text = (
            "import numpy as np\nimport sys\n"
            "def f(x):\n    return np.linalg.inv(\n        x)\n"
            "def g():\n    sys.exit('done')\n"
            "def h():\n    raise KeyError\n"
            "def r():\n    return r()\n"
            "def s():\n    exec('1 / 0')\n"
        )
        names = load(write(text)).namespace
        calls: list[tuple[Callable[[], Any], str]] = [
            (lambda: guarded(names["f"], np.zeros((2, 2))), r"lstm\.py:4: LinAlgError: Singular matrix$"),
            (lambda: guarded(names["g"]), r"lstm\.py:7: SystemExit: done$"),
            (lambda: guarded(names["h"]), r"lstm\.py:9: KeyError$"),
            (lambda: guarded(names["r"]), r"lstm\.py:11: RecursionError"),
            (lambda: guarded(names["s"]), r"lstm\.py:13: ZeroDivisionError"),
            (lambda: guarded(names["f"]), r"TypeError: f\(\) missing 1 required"),
        ]
        for call, says in calls:
            with pytest.raises(SubjectError, match=says):
                call()

    def test_a_person_can_still_interrupt(self) -> None:
        def interrupted() -> None:
            signal.raise_signal(signal.SIGINT)

        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
        try:
            with pytest.raises(KeyboardInterrupt):
                guarded(interrupted)
        finally:
            signal.signal(signal.SIGINT, before)

    def test_arguments_are_passed_as_they_are(self) -> None:
        assert guarded(lambda *a, **k: (a, k), 1, 2, function=3) == ((1, 2), {"function": 3})

    @pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf")])
    def test_times_that_are_none(self, seconds: float) -> None:
        with pytest.raises(ConfigError, match="seconds must be above 0"), guard(seconds):
            pass

    def test_a_call_costs_little_inside_a_guard(self) -> None:
        def nothing() -> None:
            pass

        with guard(20.0):
            best = min(self.timed(nothing) for _ in range(5))
        assert best < 30e-6

    @staticmethod
    def timed(function: Callable[[], None]) -> float:
        started = time.perf_counter()
        for _ in range(1000):
            guarded(function)
        return (time.perf_counter() - started) / 1000
