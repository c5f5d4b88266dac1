"""What is called before a backward: no training, a loss of its results; and how much an example shows."""

from pathlib import Path
from typing import Any

import pytest

from bptt.checking.examine import work
from bptt.checking.example import candidates
from bptt.checking.file import read

LABELLED = """
import numpy as np

class Net:
    def __init__(self, n_in, n_hidden, n_out):
        self.W, self.V = np.random.randn(n_hidden, n_in), np.random.randn(n_out, n_hidden)
        self.U = np.random.randn(n_hidden, n_hidden)

    def forward(self, xs):
        self.xs, self.hs = xs, [np.zeros(len(self.U))]
        for x in xs:
            self.hs.append(np.tanh(self.W @ x + self.U @ self.hs[-1]))
        return self.V @ self.hs[-1]

    def d_mse(self, predict, label):
        return 2 / len(label) * (predict - label)

    def mse_loss(self, predict, label):
        return np.mean((predict - label) ** 2)

    def find_loss(self, predict, label):
        self.error = self.d_mse(predict, label)
        return self.mse_loss(predict, label)

    def back_through_time(self):
        self.dW, self.dU, dh = 0 * self.W, 0 * self.U, self.V.T @ self.error
        for t in reversed(range(len(self.xs))):
            da = dh * (1 - self.hs[t + 1] ** 2)
            self.dW += np.outer(da, self.xs[t])
            self.dU += np.outer(da, self.hs[t])
            dh = self.U.T @ da

    def backprop(self):
        self.back_through_time()
        self.dV = np.outer(self.error, self.hs[-1])

    def train(self, xs_train, y_train, epochs, rate=0.1):
        for _ in range(epochs):
            for xs, y in zip(xs_train, y_train):
                self.find_loss(self.forward(xs), y)
                self.backprop()
                self.W -= rate * self.dW
                self.V -= rate * self.dV
                self.U -= rate * self.dU
"""


def verdicts(path: Path) -> list[dict[str, Any]]:
    last: dict[int, dict[str, Any]] = {}
    arguments = {"path": path, "seconds": 90.0, "mend": False}
    work(arguments, lambda _, report: last.__setitem__(report["number"], report))
    return [*last.values()]


@pytest.mark.parametrize(("old", "verdict"), [("", "right"), ("dh = self.U.T @ da", "wrong")])
def test_a_loss_that_keeps_what_the_backward_reads(old: str, verdict: str, tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(LABELLED.replace(old, old.replace(".T", "")))
    lines = next(iter(candidates(read(path)))).text.splitlines()
    assert [line.split("(")[0] for line in lines if "net." in line] == [
        "loss = net.find_loss", "net.backprop"
    ]  # fmt: skip
    report = verdicts(path)[0]
    assert report["verdict"] == verdict
    assert report["loss"] == "loss"


BROKEN = """
import numpy as np

class Words:
    def __init__(self, n_words, n_hidden):
        self.U, self.W = np.random.randn(n_hidden, n_words), np.random.randn(n_hidden, n_hidden)
        self.V = np.random.randn(n_words, n_hidden)

    def forward(self, x):
        hs = [np.zeros(len(self.W))]
        for word in x:
            hs.append(np.tanh(self.U[:, word] + self.W @ hs[-1]))
        e = [np.exp(self.V @ h) for h in hs[1:]]
        return hs, [one / one.sum() for one in e]

    def bptt(self, x, y):
        hs, ps = self.forward(x)
        dU, dW, dV, back = 0 * self.U, 0 * self.W, 0 * self.V, 0 * hs[0]
        for t in reversed(range(len(x))):
            d = ps[t] - (np.arange(len(ps[t])) == y[t])
            dV += np.outer(d, hs[t + 1])
            da = (self.V.T @ d + back) * (1 - hs[t + 1] ** 2)
            dU[:, x[t]] += da
            dW += np.outer(da, hs[t])
            if t:
                back = self.W.T @ of_the_step_after
        return dU, dW, dV
"""


@pytest.mark.parametrize("broken", [True, False])
def test_what_runs_for_one_step_alone_is_not_right(broken: bool, tmp_path: Path) -> None:
    path = tmp_path / "words.py"
    path.write_text(BROKEN if broken else BROKEN.replace("of_the_step_after", "da"))
    assert [one["verdict"] for one in verdicts(path)] == ["cannot tell" if broken else "right"]


def test_a_package_is_found_by_its_own_name(tmp_path: Path) -> None:
    """Without any ``__init__.py``, from the folder in which the package lies."""
    folder = tmp_path / "parts" / "core"
    folder.mkdir(parents=True)
    (folder / "bend.py").write_text("import numpy as np\ndef bend(a): return np.tanh(a)\n")
    text = "import numpy as np\nfrom parts.core.bend import bend\n"
    text += "def forward(x, W):\n    h = bend(x @ W)\n    return h\n"
    text += "def backward(dh, x, h):\n    da = dh * (1 - h**2)\n    dW = x.T @ da\n    return dW\n"
    (folder / "net.py").write_text(text)
    assert [one["verdict"] for one in verdicts(folder / "net.py")] == ["right"]
