"""The five source documents are judged as they are: their code is taken from them, where they are there.

The documents lie beside the corpora, in the folder ``seeds`` next to that of ``BPTT_DATA``. Their code has
lost its indentation, and gets it back here. What has no code (a derivation) is written anew from its
formulas, and judged always.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import dedent, indent

import pytest

from bptt.checking.examine import check_source
from bptt.checking.file import read
from bptt.checking.report import Report

SEEDS = Path(os.environ.get("BPTT_DATA", "."), "..", "seeds").resolve()
INDENT = "    "


def document(number: str) -> list[str]:
    """Return a document's lines; skip the test where it is not there."""
    found = sorted(SEEDS.glob(f"{number}_*.txt")) if "BPTT_DATA" in os.environ else []
    if not found:
        pytest.skip("the source documents are not there")
    return found[0].read_text(encoding="utf-8").splitlines()


def function(lines: Iterable[str], name: str) -> str:
    """Return a function of a document, with its indentation: a loop ends where the next thing begins."""
    rest = iter(lines)
    header = next(line for line in rest if line.startswith(f"def {name}("))
    return header + "\n" + "".join(f"{line}\n" for line in body(rest))


def body(lines: Iterator[str]) -> Iterator[str]:
    quoted = inside = False
    for line in lines:
        if line.startswith('"""'):
            quoted = not quoted
        elif not quoted:
            code = line.partition("#")[0].rstrip()
            inside = inside and not code.startswith(("for ", "return ")) and "zeros_like" not in code
            yield INDENT * (1 + inside) + code
            inside = inside or code.endswith(":")
            if code.startswith("return "):
                return


def loop(lines: Sequence[str], first: str, last: str) -> str:
    """Return a loop of a document that stands in no function, from its head to the line that begins so."""
    start = next(k for k, line in enumerate(lines) if line.startswith(first))
    stop = next(k for k, line in enumerate(lines) if k > start and line.startswith(last))
    return indent("\n".join([lines[start], *(INDENT + line for line in lines[start + 1 : stop + 1])]), INDENT)


def judged(folder: Path, code: str, example: str, seconds: float = 90) -> Report:
    path = folder / "code.py"
    path.write_text(dedent(code), encoding="utf-8")
    return check_source(read(path), example, seconds=seconds)


def named(report: Report, verdict: str) -> set[str]:
    return {g["name"] for g in report.gradients if g["verdict"] == verdict}


def line(code: str, start: str) -> int:
    """Return the number of the line of a text that begins so."""
    return next(n for n, one in enumerate(dedent(code).splitlines(), 1) if one.strip().startswith(start))


# ------------------------------------------------------------------ 000 and 001: a step of the LSTM, right

STEP = """
import numpy as np


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    a = x @ Wx + prev_h @ Wh + b
    i, f, o, g = np.split(a, 4, axis=1)
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
    next_c = f * prev_c + i * g
    z = np.tanh(next_c)
    next_h = o * z
    cache = {cache}
    return next_h, next_c, cache


"""
"""A right forward of our own: these two documents show the backward alone."""


def with_forward(lines: list[str]) -> str:
    backward = function(lines, "lstm_step_backward")
    (order,) = re.findall(r"^\s*(.*?) = cache$", backward, re.MULTILINE)
    return STEP.format(cache=order) + backward


CALLED = """
x, h, c = np.random.randn(2, 3), np.random.randn(2, 4), np.random.randn(2, 4)
Wx, Wh, b = np.random.randn(3, 16), np.random.randn(4, 16), np.random.randn(16)
h1, c1, cache = lstm_step_forward(x, h, c, Wx, Wh, b)
dx, dh, dc, dWx, dWh, db = lstm_step_backward(np.random.randn(2, 4), np.random.randn(2, 4), cache)
"""


@pytest.mark.parametrize("number", ["000", "001"])
def test_steps_of_the_thread_and_of_the_post_are_right(number: str, tmp_path: Path) -> None:
    report = judged(tmp_path, with_forward(document(number)), CALLED)
    assert report.verdict == "right", report.gradients
    assert named(report, "right") == {"x", "h", "c", "Wx", "Wh", "b"}
    assert "lstm" in report.cell.lower()
    assert not report.located


def test_a_fault_planted_in_the_thread_s_step_is_mended(tmp_path: Path) -> None:
    code = with_forward(document("000"))
    wrong = re.sub(r"(d_f = \w+ \*) prev_c", r"\1 next_c", code)
    assert wrong != code
    report = judged(tmp_path, wrong, CALLED)
    assert report.verdict == "wrong"
    assert report.located[0]["line"] == line(wrong, "d_f =")
    assert report.whole
    assert "+    d_f = d_next_c * prev_c" in report.diff


SEQUENCE = """
def lstm_forward(x, h0, Wx, Wh, b):
    h, c, caches, hs = h0, np.zeros_like(h0), [], []
    for t in range(x.shape[1]):
        h, c, cache = lstm_step_forward(x[:, t], h, c, Wx, Wh, b)
        caches.append(cache)
        hs.append(h)
    return np.stack(hs, axis=1), caches


def lstm_backward(d_h, cache):
    N, T, H = d_h.shape
    x, Wx, Wh = cache[0][0], cache[0][3], cache[0][4]
    d_x, d_b = np.zeros((N, T, x.shape[1])), np.zeros(4 * H)
    d_Wx, d_Wh = np.zeros_like(Wx), np.zeros_like(Wh)
    d_h_next_t, d_c_next_t = np.zeros((N, H)), np.zeros((N, H))
{loop}
    return d_x, d_h0, d_Wx, d_Wh, d_b
"""
"""What is around the thread's loop over time, of our own."""


THROUGH = """
x, h0 = np.random.randn(2, 3, 3), np.random.randn(2, 4)
Wx, Wh, b = np.random.randn(3, 16), np.random.randn(4, 16), np.random.randn(16)
hs, caches = lstm_forward(x, h0, Wx, Wh, b)
dx, dh0, dWx, dWh, db = lstm_backward(np.random.randn(2, 3, 4), caches)
"""


def test_loop_of_the_thread_is_right(tmp_path: Path) -> None:
    lines = document("000")
    own = SEQUENCE.format(loop=loop(lines, "for t in reversed(xrange(T))", "d_b +="))
    report = judged(tmp_path, with_forward(lines) + own, THROUGH)
    assert report.verdict == "right", report.gradients
    assert named(report, "right") == {"x", "h0", "Wx", "Wh", "b"}


CHUNK = """
import numpy as np


def loss_of_chunk(inputs, targets, hprev):
    xs, hs, ys, ps, loss = {{}}, {{-1: hprev}}, {{}}, {{}}, 0
{forward}
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby, dhnext = np.zeros_like(bh), np.zeros_like(by), np.zeros_like(hprev)
{backward}
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[len(inputs) - 1]
"""
"""What is around the thread's two loops of the vanilla RNN, of our own."""


TOKENS = """
vocab_size, hidden_size = 5, 4
Wxh, Whh, Why = np.random.randn(4, 5), np.random.randn(4, 4), np.random.randn(5, 4)
bh, by = np.random.randn(4, 1), np.random.randn(5, 1)
loss, dWxh, dWhh, dWhy, dbh, dby, _ = NAME([0, 1, 3, 1], [1, 3, 1, 2], np.random.randn(4, 1))
"""
WEIGHTS = {"Wxh", "Whh", "Why", "bh", "by"}


def test_rnn_of_the_thread_is_right(tmp_path: Path) -> None:
    lines = document("000")
    forward = loop(lines, "for t in xrange(len(inputs))", "loss +=")
    backward = loop(lines, "for t in reversed(xrange(len(inputs)))", "dhnext =")
    code = CHUNK.format(forward=forward, backward=backward)
    report = judged(tmp_path, code, TOKENS.replace("NAME", "loss_of_chunk"))
    assert report.verdict == "right", report.gradients
    assert named(report, "right") >= WEIGHTS


# -------------------------------------------------------------------- 002: the derivation, from its formulas

DERIVED = """
import numpy as np


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def loss_and_gradients(inputs, targets, h0, c0, Wi, Wf, We, Wc, Ui, Uf, Ue, Uc, V):
    h, c, loss, steps = h0, c0, 0.0, []
    for token, target in zip(inputs, targets):
        x = np.eye(Ui.shape[1])[token]
        i, f, e = sigmoid(Wi @ h + Ui @ x), sigmoid(Wf @ h + Uf @ x), sigmoid(We @ h + Ue @ x)
        n = np.tanh(Wc @ h + Uc @ x)
        c_new = f * c + i * n
        h_new = e * np.tanh(c_new)
        p = np.exp(V @ h_new)
        p = p / p.sum()
        loss = loss - np.log(p[target])
        steps.append((x, h, c, i, f, e, n, c_new, h_new, p, target))
        h, c = h_new, c_new
    dWi, dWf, dWe, dWc = (np.zeros_like(w) for w in (Wi, Wf, We, Wc))
    dUi, dUf, dUe, dUc = (np.zeros_like(u) for u in (Ui, Uf, Ue, Uc))
    dV, dh_next, dc_next = np.zeros_like(V), np.zeros_like(h0), np.zeros_like(c0)
    for x, h_prev, c_prev, i, f, e, n, c, h, p, target in reversed(steps):
        g = p.copy()
        g[target] -= 1
        dV += np.outer(g, h)
        dh = V.T @ g + dh_next
        dc = {at_h} * e * (1 - np.tanh(c) ** 2) + dc_next
        dai, daf = dc * n * i * (1 - i), dc * c_prev * f * (1 - f)
        dae, dac = dh * np.tanh(c) * e * (1 - e), dc * i * (1 - n * n)
        dWi, dUi = dWi + np.outer(dai, h_prev), dUi + np.outer(dai, x)
        dWf, dUf = dWf + np.outer(daf, h_prev), dUf + np.outer(daf, x)
        dWe, dUe = dWe + np.outer(dae, h_prev), dUe + np.outer(dae, x)
        dWc, dUc = dWc + np.outer(dac, h_prev), dUc + np.outer(dac, x)
        {before}
        dh_next = Wi.T @ dai + Wf.T @ daf + We.T @ dae + Wc.T @ dac
        dc_next = dc * f
    return loss, dWi, dWf, dWe, dWc, dUi, dUf, dUe, dUc, dV
"""
"""An LSTM without biases, with an output matrix and softmax; what stands for the gradient at h is put in."""


GATES = """
h0, c0 = np.random.randn(4), np.random.randn(4)
Wi, Wf, We, Wc = np.random.randn(4, 4, 4)
Ui, Uf, Ue, Uc = np.random.randn(4, 4, 5)
V = np.random.randn(5, 4)
loss, dWi, dWf, dWe, dWc, dUi, dUf, dUe, dUc, dV = loss_and_gradients(
    [0, 1, 3], [1, 3, 2], h0, c0, Wi, Wf, We, Wc, Ui, Uf, Ue, Uc, V)
"""
MATRICES = {f"{matrix}{gate}" for matrix in "WU" for gate in "ifec"}


def test_derivation_takes_the_local_gradient_at_h(tmp_path: Path) -> None:
    code = DERIVED.format(at_h="(V.T @ g)", before="")
    report = judged(tmp_path, code, GATES)
    assert report.verdict == "wrong"
    assert named(report, "right") == {"V"}
    assert named(report, "wrong") == MATRICES
    assert report.located[0]["line"] == line(code, "dc = ")
    assert report.whole, report.notes
    assert re.search(r"^\+ *dc = ", report.diff, re.MULTILINE)


def test_derivation_with_the_whole_gradient_is_right(tmp_path: Path) -> None:
    assert judged(tmp_path, DERIVED.format(at_h="dh", before=""), GATES).verdict == "right"


def test_notes_derivation_lacks_the_way_through_the_cell_state(tmp_path: Path) -> None:
    """The gradient at h follows h -> c' -> h' alone, and not h -> c' -> c''."""
    through_h = "s = dh * e * (1 - np.tanh(c) ** 2); dai, daf, dac = "
    through_h += "s * n * i * (1 - i), s * c_prev * f * (1 - f), s * i * (1 - n * n)"
    code = DERIVED.format(at_h="dh", before=through_h)
    report = judged(tmp_path, code, GATES)
    assert report.verdict == "wrong"
    assert "V" in named(report, "right")
    assert report.located[0]["line"] in (line(code, "s = dh"), line(code, "dh_next = Wi.T"))


# -------------------------------------------------------- 003: the notes, their class and their derivation

READINGS = {
    "derivatives of values": ("x * (1 - x)", "1 - x**2"),
    "tanh's of its input": ("x * (1 - x)", "1 - np.tanh(x) ** 2"),
    "sigmoid's of its input": ("sigmoid(x) * (1 - sigmoid(x))", "1 - x**2"),
    "derivatives of inputs": ("sigmoid(x) * (1 - sigmoid(x))", "1 - np.tanh(x) ** 2"),
}
"""The notes do not show their derivatives: all four ways to read them."""


def notes(lines: list[str], sigmoid_derivative: str, tanh_derivative: str) -> str:
    """Return the class of the notes, with the functions that they do not show."""
    start = next(k for k, line in enumerate(lines) if line.startswith("self.H ="))
    stop = next(k for k, line in enumerate(lines) if k > start and line.startswith("def "))
    sizes = re.sub(
        r"self\.D = \d+", "self.D = 5", re.sub(r"self\.H = \d+", "self.H = 4", "\n".join(lines[start:stop]))
    )
    methods = "def __init__(self):\n" + indent(sizes, INDENT) + "\n"
    methods += "\n".join(function(lines, name) for name in ("lstm_forward", "lstm_backward"))
    functions = f"""
import numpy as np
def sigmoid(x): return 1 / (1 + np.exp(-x))
def tanh(x): return np.tanh(x)
def softmax(x): return np.exp(x) / np.exp(x).sum()
def sigmoid_derivative(x): return {sigmoid_derivative}
def tanh_derivative(x): return {tanh_derivative}
class LSTM:
"""
    return functions + indent(methods, INDENT)


WORDS = """
net = LSTM()
prob, state, cache = net.lstm_forward(3, (np.random.randn(1, 4), np.random.randn(1, 4)))
grad, before = net.lstm_backward(prob, np.eye(5)[[2]], (np.random.randn(1, 4), np.random.randn(1, 4)), cache)
"""


@pytest.mark.parametrize("reading", ["derivatives of values"])
def test_notes_have_a_derivative_too_many_and_one_tanh_derivative_wrong(reading: str, tmp_path: Path) -> None:
    code = notes(document("003"), *READINGS[reading])
    report = judged(tmp_path, code, WORDS, seconds=60)
    assert report.verdict == "wrong"
    assert len(named(report, "wrong")) >= 10
    assert report.located[0]["line"] == line(code, "dy = sigmoid_derivative(dy)")

    (wrong,) = re.findall(r"\n +(\w+) = \w+_derivative\(\1\)\n", code)
    mended = re.sub(rf"\n +{wrong} = \w+_derivative\({wrong}\)\n", "\n", code)
    report = judged(tmp_path, mended, WORDS, seconds=20)
    assert report.verdict == "wrong"
    assert {"net.model['Wy']", "net.model['by']"} <= named(report, "right")
    assert report.located[0]["line"] in (
        line(mended, "dc = ho"),
        line(mended, "dho = sigmoid"),
        line(mended, "dhc = tanh"),
    )


def test_notes_with_both_mended_are_right(tmp_path: Path) -> None:
    code = notes(document("003"), *READINGS["derivatives of values"])
    code = re.sub(r"\n +(\w+) = \w+_derivative\(\1\)\n", "\n", code)
    code = code.replace("tanh_derivative(c)", "tanh_derivative(tanh(c))")
    assert judged(tmp_path, code, WORDS, seconds=8).verdict == "right"


# ----------------------------------------------------------------------- 004: is this actually correct? Yes.


def test_the_chunk_in_question_is_right(tmp_path: Path) -> None:
    code = "import numpy as np\n" + function(document("004"), "lossFun")
    example = TOKENS.replace("NAME", "lossFun")
    report = judged(tmp_path, code, example)
    assert report.verdict == "right", report.gradients
    assert named(report, "right") >= WEIGHTS
    assert "rnn" in report.cell.lower()

    tight = re.sub(r"-5, 5,", "-0.01, 0.01,", code)
    assert tight != code
    report = judged(tmp_path, tight, example)
    assert report.verdict == "right"  # the gradient before it is clipped
    assert any("clip" in g["note"] for g in report.gradients)

    later = re.sub(r"(dWhh \+= .*hs\[t)-1\]", r"\1]", code)
    assert later != code
    report = judged(tmp_path, later, example)
    assert report.verdict == "wrong"
    assert report.located[0]["line"] == line(later, "dWhh +=")
    assert report.whole
    assert re.search(r"^\+ *dWhh \+= .*t *- *1\]", report.diff, re.MULTILINE)
