"""A user's file is read without being run: its definitions are taken, and what runs is left."""

import sys

import numpy as np
import pytest

from bptt.checking.source import load
from bptt.checking.subject import SubjectError
from source_files import Write, defined
from source_files import write as write

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
            *("data", "chars", "data_size", "vocab_size", "Wxh", "model", "losses", "best")
        ]
        assert source.skipped == [2, 3, 4, 8, 9, 25, 26, 27, 30]
        names = defined(source)
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
        assert defined(source) == {"c": 2, "d": 6}

    def test_a_name_set_again_by_what_runs_is_not_known_any_more(self, write: Write) -> None:
        source = load(write("V = 3\nV = len(open('words').read())\nW = [0] * V\nd = {}\nd['k'] = input()\n"))
        assert source.unset == ["V", "W", "d"]
        assert defined(source) == {}

    @pytest.mark.parametrize(
        "line",
        [
            *("x = train()", "x = [train() for _ in range(2)]", "x = list(map(train, [1]))"),
            *("x = (lambda: 1)()", "x = np.load('w.npy')", "x = np.loadtxt('w.txt')"),
            *("x = __import__('os').getcwd()", "x = os.system('true')", "x = eval('1')"),
            *("x = Net.make()", "x = 1 / 0", "x = input()"),
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
        assert defined(source).get("x") == value

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
