"""What a file defines is told without running it."""

import ast
import sys

import numpy as np
import pytest

from bptt.checking.file import (
    SubjectError,
    definitions,
    in_double,
    leading_constants,
    overridden,
    read,
    without_unread,
)
from subject_files import Write, defined, execute
from subject_files import write as write

CHUNK = """\
import numpy as np
data = open('not_there.txt', 'r').read()
chars = list(set(data))
data_size, vocab_size = len(data), len(chars)
char_to_ix = {ch: i for i, ch in enumerate(chars)}
hidden_size = 10
np.random.seed(0)
Wxh = np.random.randn(hidden_size, vocab_size) * 0.01
sigmoid = lambda x: 1 / (1 + np.exp(-x))
params = {}
params['b'] = np.zeros(hidden_size)
for name in ['W', 'U']:
    params[name] = np.ones(3)
def init(size):
    return np.full(size, 2.0)
bh = init(hidden_size)
unread = init(3)
def forward(x, scale=undefined, *, shift=undefined):
    if x is None:
        return scale * 2
    return Wxh @ x + bh + gate.v + count
def train(steps):
    for _ in range(steps):
        forward(1)
class Gate:
    def __init__(self):
        self.v = init(1)
class Net:
    def __init__(self):
        while True:
            pass
gate = Gate()
net = Net()
loss = train(10 ** 9)
print(loss)
while True:
    pass
with open('count.txt') as f:
    count = len(f.readlines())
if hidden_size > 5:
    big = True
    train(10 ** 9)
else:
    big = False
try:
    import not_there as xp
except ImportError:
    xp = np
if __name__ == "__main__":
    best = forward(bh)
"""


def test_definitions_are_taken_and_what_runs_is_left(write: Write) -> None:
    source = read(write(CHUNK))
    names = defined(source.path)
    assert {"unread", "net", "loss", "best"}.isdisjoint(names)
    assert (names["data_size"], names["vocab_size"], names["hidden_size"], names["count"]) == (42, 7, 10, 3)
    assert names["Wxh"].shape == (10, 7)
    assert sorted(names["params"]) == ["U", "W", "b"]
    assert names["gate"].v.tolist() == [2.0]
    assert names["big"] is True
    assert names["xp"] is names["np"]
    assert names["forward"](names["Wxh"][0]).shape == (10,)
    with pytest.raises(SubjectError, match=r"^needs undefined, which is not there"):
        names["forward"](None)
    assert execute(source, {}) == [
        "not_there.txt is not here: a small text stands in for it",
        "count.txt is not here: a small text stands in for it",
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the file closes none
def test_files_that_are_there_are_read_and_none_is_written(write: Write) -> None:
    write("abc", "input.txt")
    file = write(
        "log = open('log.txt', 'w')\ntext = open('input.txt').read()\nraw = open('raw', 'rb').read()\n"
        "def f(): return open(file='more.txt', encoding='utf-8').read()\n"
    )
    names = defined(file)
    assert names["text"] == "abc"
    assert (type(names["raw"]), len(set(names["f"]()))) == (bytes, 7)
    assert not (file.parent / "log.txt").exists()


def test_options_of_a_parser_are_its_defaults(write: Write) -> None:
    text = (
        "import argparse\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--hidden', type=int, default=7)\nargs = parser.parse_args()\nH = args.hidden\n"
    )
    assert defined(write(text))["H"] == 7


@pytest.mark.parametrize(
    "line",
    [
        *("x = train()", "x = [train() for _ in range(2)]", "x = list(map(train, [1]))", "x = (lambda: 1)()"),
        *("x = np.load('w.npy')", "x = __import__('os').getcwd()", "x = os.system('true')", "x = eval('1')"),
        *("x = Net.make()", "x = input()", "x = Net().run()", "x = fit(train)", "x = time.sleep(9)"),
        *("sys.stdout = None", "os.environ['x'] = '1'", "for x in range(3): train()", "x = y = train()"),
        *(
            "with open('f') as x: train()",
            "x = requests.get('u')",
            "x = io.open('f', 'w')",
            "while True: x = 1",
            "x = fits[0]()",
        ),
    ],
)
def test_calls_that_work_or_meet_the_world_are_not_made(write: Write, line: str) -> None:
    text = (
        "import io, os, sys, time, requests\nimport numpy as np\ndef train(*_):\n    while True: pass\n"
        "def fit(f):\n    return f()\nfits = [train]\n"
        "class Net:\n    @staticmethod\n    def make():\n        while True: pass\n"
        "    def run(self):\n        for _ in range(9): train()\ndef use(): return x\n"
    )
    assert len(definitions(read(write(text + line)))) == len(definitions(read(write(text))))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("x = {w: i for i, w in enumerate('a b'.split())}", {"a": 0, "b": 1}),
        ("x: float = math.sqrt(4)", 2.0),
        ("x = np.zeros(4).reshape(2, 2).tolist()", [[0, 0], [0, 0]]),
        ("x = 1\nx += 2", 3),
        ("y, (x, *z) = 1, (2, 3)", 2),
        ("from numpy import *\nx = zeros(2).tolist()", [0, 0]),
        ("try:\n    xrange\nexcept NameError:\n    x = 1\nelse:\n    x = list(xrange(2))", [0, 1]),
        ("x = 3\nx = open_the_pod()", 3),
    ],
)
def test_simple_expressions(write: Write, line: str, value: object) -> None:
    assert defined(write(f"import math\nimport numpy as np\n{line}\n")).get("x") == value


def test_what_an_example_sets_replaces_what_the_file_sets(write: Write) -> None:
    values = leading_constants("hidden_size = 4\nV, N = 6, -1\nx = np.zeros(hidden_size)\nlr = 2")
    assert values == {"hidden_size": 4, "V": 6, "N": -1}
    source = read(write("hidden_size = 100\nV, D = len('abc'), 5\nlr = 1\nW = [0] * hidden_size\n"))
    names: dict[str, object] = {}
    exec(ast.unparse(ast.Module(overridden(definitions(source), values), [])), names)
    assert (names["V"], names["D"], names["lr"], names["W"]) == (6, 5, 1, [0] * 4)
    assert "100" in ast.unparse(source.tree)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "np.zeros(3, dtype=np.float32) + x.astype('f4')",
            "np.zeros(3, dtype=np.float64) + x.astype('float64')",
        ),
        ("torch.randn(3, dtype=torch.float).float()", "torch.randn(3, dtype=torch.float64).double()"),
        ("from numpy import float32 as f", "from numpy import float64 as f"),
        ("dtype = 'float32'", "dtype = 'float64'"),
        ("float(x) + open('f').f + np.array(['f'])", None),
        ("x.dtype == np.float64", None),
    ],
)
def test_single_precision_becomes_double(text: str, expected: str | None) -> None:
    tree = ast.parse(text)
    assert in_double(tree) is (expected is not None)
    assert ast.unparse(tree) == (expected or text)


class TestImports:
    def test_a_missing_import_speaks_only_when_used(self, write: Write) -> None:
        text = (
            "import not_there.pyplot as plt, math\nfrom not_there.layers import Dense, Layer, jit\n"
            "class Net(Layer.Base):\n    def step(self, x):\n        return math.floor(x)\n"
            "@jit(nopython=True)\ndef plot(x: Layer['x']):\n    plt.plot(x)\n"
            "def add(x=Dense.size):\n    return x + Dense\n"
            "from math import nothing\nimport numpy as np\n"
        )
        names = defined(write(text))
        assert names["Net"]().step(2.5) == 2
        for use in (
            lambda: names["plot"](1),
            lambda: names["add"](1.0),
            lambda: names["add"](),
            lambda: names["np"].dot(names["Dense"], 2),
            lambda: bool(names["Dense"]),
        ):
            with pytest.raises(SubjectError, match=r"^needs not_there, which is not installed$"):
                use()
        with pytest.raises(
            SubjectError, match=r"^needs math\.nothing, which is not there \(ImportError: .*\)$"
        ):
            len(names["nothing"])

    def test_modules_beside_the_file_give_their_definitions(self, write: Write) -> None:
        write(
            "class Relu:\n    def of(self, x): return max(x, 0)\nwhile True:\n    pass\n",
            "lib/random_layers.py",
        )
        write("raise SystemExit\n", "bptt.py")
        file = write(
            "import sys\nsys.path.append('lib')\nfrom random_layers import *\nimport bptt\nrelu = Relu()\n"
        )
        before = sys.modules["bptt"]
        names = defined(file)
        assert names["relu"].of(-1) == 0
        assert names["bptt"] is not before
        assert sys.modules["bptt"] is before
        assert "random_layers" not in sys.modules

    def test_relative_imports_though_the_file_is_alone(self, write: Write) -> None:
        write("", "my-net/__init__.py")
        write("from ..up import K\nH = 7\nraise SystemExit\n", "my-net/sizes.py")
        write("K = 8\n", "up.py")
        file = write(
            "from .sizes import H, K\nfrom . import sizes\nfrom ..up import K as L\n", "my-net/lstm.py"
        )
        names = defined(file)
        assert (names["H"], names["K"], names["L"], names["sizes"].H) == (7, 8, 8, 7)

    def test_packages_beside_the_file_may_import_each_other(self, write: Write) -> None:
        write("from .deep import f\n", "pkg/sub/__init__.py")
        write("", "pkg/__init__.py")
        write(
            "from dataclasses import dataclass\nimport pkg.other as other\n"
            "@dataclass\nclass Sizes:\n    H: int = 3\ndef f(): return other.K + Sizes().H\n",
            "pkg/sub/deep.py",
        )
        write("import pkg.sub.deep\nK = 4\ndef g(): return pkg.sub.deep.Sizes().H\n", "pkg/other.py")
        file = write("import pkg.other\nfrom pkg import sub\n")
        names = defined(file)
        assert (names["pkg"].other.g(), names["sub"].f()) == (3, 7)
        assert not [name for name in sys.modules if name.startswith((str(file.parent), "pkg."))]

    def test_names_of_cupy_are_numpys(self, write: Write) -> None:
        names = defined(write("import cupy as cp\nfrom cupy import zeros\nW = cp.ones(2)\n"))
        assert names["cp"] is np
        assert names["zeros"] is np.zeros
        assert names["W"].tolist() == [1, 1]


def test_an_activation_that_nobody_defines_is_the_usual_one(write: Write) -> None:
    text = "def f(x): return sigmoid(x) + relu(x)\ndef relu(x): return 7\ndef g(x): return softmax(x)\n"
    source = read(write(text))
    assert [note.split()[0] for note in source.notes] == ["sigmoid", "softmax"]
    names = defined(source.path)
    assert names["f"](0.0) == 7.5
    assert names["g"](np.zeros((2, 1))).tolist() == [[0.5], [0.5]]
    assert names["g"](np.zeros((2, 2))).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert read(write("from activations import *\n" + text)).notes == ()


@pytest.mark.parametrize(
    ("example", "kept"),
    [
        ("", {"size", "step"}),
        ("net = f(3)\nnet.go()", {"size", "step"}),  # it sets the name before it reads it
        ("y = f(rows)", {"size", "step", "rows", "table"}),
        ("net.go()", {"size", "step", "net", "rows", "table"}),
    ],
)
def test_what_neither_a_file_nor_an_example_reads_is_not_executed(example: str, kept: set[str]) -> None:
    file = (
        "size = 3\nstep = 1\nrows = [0] * 99\nrows[0] = table = size\nnet = f(rows)\nunread = net\n"
        "def f(net):\n    global step\n    step = step + size\n"
        "    rows = net\n    return lambda x=step: rows\n"
    )
    found = without_unread(ast.parse(file).body, ast.parse(example).body)
    names = {part.id for one in found[:-1] for part in ast.walk(one) if isinstance(part, ast.Name)}
    assert names - {"f"} == kept
    every = without_unread(ast.parse(file).body, ast.parse("eval(example)").body)
    assert len(every) == 7


@pytest.mark.parametrize(
    ("text", "value"),
    [("np.log(x + 1e-6)", 0.0), ("np.log(x - 1 + 1e-6)", np.log(1e-6)), ("np.log(x + 1.0)", np.log(2.0))],
)
def test_a_guard_of_a_logarithm_is_for_zero(text: str, value: float) -> None:
    tree = ast.parse(text, mode="eval")
    assert not in_double(tree)
    assert eval(compile(tree, "guarded", "eval"), {"np": np, "x": 1.0}) == pytest.approx(value, abs=1e-12)
