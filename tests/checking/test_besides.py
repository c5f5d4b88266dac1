"""What is told besides a verdict: what the backward changes, truncation, the shortest wrong sequence."""

from pathlib import Path

import pytest

from bptt.checking.besides import shortest, side_effects
from bptt.checking.examine import check_source, work
from bptt.checking.file import read
from small_files import EXAMPLE, changed, examined

SLIDING = """
import numpy as np

def forward(xs, W, U):
    hs = {-1: np.zeros(len(U))}
    for t in range(len(xs)):
        hs[t] = np.tanh(xs[t] @ W + hs[t - 1] @ U)
    return np.array([hs[t] for t in range(len(xs))]), hs

def backward(dhs, xs, hs, W, U):
    dW, dU = 0 * W, 0 * U
    for t in range(len(xs)):
        d = dhs[t] * (1 - hs[t] ** 2)
        for s in range(t, max(-1, t - STEPS), -1):
            dW += np.outer(xs[s], d)
            dU += np.outer(hs[s - 1], d)
            d = U @ d * (1 - hs[s - 1] ** 2)
    return dW, dU
"""
CALLS = """
xs, W, U = np.random.randn(5, 7), np.random.randn(7, 4), np.random.randn(4, 4)
hs, cache = forward(xs, W, U)
dW, dU = backward(np.random.randn(5, 4), xs, cache, W, U)
"""
CHUNK = """
import numpy as np

def chunk(xs, targets, h, W):
    hs = [h]
    for x in xs:
        hs.append(np.tanh(x + hs[-1] @ W))
    loss = 0.5 * np.sum((np.array(hs[1:]) - targets) ** 2)
    dW, dh = 0 * W, 0 * h
    for t in reversed(range(len(xs))):
        d = (hs[t + 1] - targets[t] + dh) * (1 - hs[t + 1] ** 2)
        dW += np.outer(hs[t], d)
        dh = W @ d
    return loss, dW, hs[-1]
"""
CHUNKS = """
W, a, b, c, d = np.random.randn(4, 4), *np.random.randn(4, 3, 4)
loss, dW, h = chunk(a, b, np.zeros(4), W)
loss, dW, h = chunk(c, d, h, W)
"""


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            ("da = dh * (1 - h**2)", "dh *= 1 - h**2; da = dh"),
            ["backward changes in place dout (handed to it)"],
        ),
        (
            ("dW += x.T @ da", "dW += x.T @ da; x *= 2"),
            ["backward changes in place xs (handed to it)"],
        ),
        (
            ("return np.array(dxs)", "U *= 0.9; return np.array(dxs)"),
            ["backward changes in place U (handed to it)"],
        ),
        (("dh = da @ U.T", "dh = da @ U.T; dh *= 1"), []),
    ],
    ids=["cotangent", "cache", "weight", "nothing"],
)
def test_what_a_backward_changes_that_is_not_its_own(
    edit: tuple[str, str], told: list[str], tmp_path: Path
) -> None:
    found = list(side_effects(examined(tmp_path, changed(edit))))
    assert len(found) == len(told)
    assert all(text.startswith(start) for text, start in zip(found, told, strict=True))


def test_what_an_object_has_computed_is_not_to_be_changed(tmp_path: Path) -> None:
    code = """
import numpy as np
class Layer:
    def __init__(self): self.W, self.dW = np.random.randn(3, 4), np.zeros((3, 4))
    def forward(self, x): self.x, self.y = x, np.tanh(x @ self.W); return self.y
    def backward(self, dy):
        da = dy * (1 - self.y**2)
        self.dW += self.x.T @ da
        self.y *= 0
        return da @ self.W.T
"""
    example = (
        "net = Layer()\ny = net.forward(np.random.randn(2, 3))\ndx = net.backward(np.random.randn(2, 4))"
    )
    told = ["net.backward changes in place net.y (computed before)"]
    assert list(side_effects(examined(tmp_path, code, example))) == told
    step = code.replace("self.y *= 0", "self.W -= 0.1 * self.dW")
    assert list(side_effects(examined(tmp_path, step, example))) == []
    decay = code.replace("self.y *= 0", "self.W *= 0.5")
    told = ["net.backward changes in place net.W (a weight, and no update of it)"]
    assert list(side_effects(examined(tmp_path, decay, example))) == told


@pytest.mark.parametrize("steps", [2, 3])
def test_gradients_that_are_cut_off_are_told_as_that(steps: int, tmp_path: Path) -> None:
    file = tmp_path / "cut.py"
    file.write_text(SLIDING.replace("STEPS", str(steps)), encoding="utf-8")
    report = check_source(read(file), CALLS)
    assert report.verdict == "wrong"
    where = "`hs[t - 1]` of line 7 is held constant"
    assert report.reason == f"truncated: the gradients at W, U are right if {where} beyond {steps} steps"
    assert report.notes[-1].startswith(f"the gradients are right at {steps} steps of time, and wrong at")
    file.write_text(file.read_text("utf-8") + "# truncated on purpose", encoding="utf-8")
    report = check_source(read(file), CALLS)
    assert (report.verdict, report.names("right")) == ("right", ["W", "U"])


def test_a_carry_that_is_forgotten_stays_wrong_whatever_is_said(tmp_path: Path) -> None:
    code = changed(("dh = da @ U.T", "dh = 0 * dh")) + "# truncated BPTT"
    sent = []
    file = tmp_path / "forgotten.py"
    file.write_text(code, encoding="utf-8")
    work({"path": file, "example": EXAMPLE, "seconds": 9, "mend": False}, lambda _, one: sent.append(one))
    assert sent[0]["verdict"] == "wrong"
    assert any(
        "are right if `before` of line 8 and `h` of line 7 are held constant" in n for n in sent[0]["notes"]
    )


def test_chunks_that_the_example_calls_one_after_the_other_are_meant(tmp_path: Path) -> None:
    file = tmp_path / "chunks.py"
    file.write_text(CHUNK, encoding="utf-8")
    report = check_source(read(file), CHUNKS)
    assert (report.verdict, report.names("right")) == ("right", ["W"])
    assert "are right if `h` of line 5 is held constant" in report.notes[-1]


EPOCH = """
import numpy as np

def chunk(xs, h, U):
    hs = [h]
    for x in xs:
        hs.append(np.tanh(x + hs[-1] @ U))
    d, dU = np.zeros(3), np.zeros((3, 3))
    for t in range(len(xs), 0, -1):
        d = (d + hs[t]) * (1 - hs[t] ** 2)
        dU += np.outer(hs[t - 1], d)
        d = U @ d
    return sum(h @ h for h in hs[1:]) / 2, dU, hs[-1]

def epoch(xs, h, U):
    loss, dU = 0.0, 0.0
    for k in range(0, len(xs), 2):
        one, slope, h = chunk(xs[k:k + 2], h, U)
        loss, dU = loss + one, dU + slope
    return loss, dU
"""


def test_chunks_that_the_code_itself_makes_are_meant_if_it_says_so(
    tmp_path: Path,
) -> None:
    file = tmp_path / "epoch.py"
    example = "xs, h, U = [np.random.randn(*n) for n in ((6, 3), (3,), (3, 3))]\nloss, dU = epoch(xs, h, U)"
    for more, verdict in (("", "cannot tell"), ("# truncated", "right")):
        file.write_text(EPOCH + more, encoding="utf-8")
        report = check_source(read(file), example)
        assert report.verdict == verdict
        assert "is held constant" in " ".join([report.reason, *report.notes])


def test_the_shortest_sequence_that_is_wrong(tmp_path: Path) -> None:
    one = examined(tmp_path, changed(("dh = da @ U.T", "dh = da @ U")))
    asked: list[str] = []

    def judged(text: str):  # type: ignore[no-untyped-def]
        asked.append(text)
        return examined(tmp_path, changed(("dh = da @ U.T", "dh = da @ U")), text).judged

    assert shortest(one, judged) == ""
    assert "randn(1, 2, 5)" in asked[0]
    assert len(asked) == 1  # the gradient at the state before is wrong after one step, too
