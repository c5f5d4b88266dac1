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

from bptt.checking import Judgement, check_file, text
from source_files import check_text

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


def judged(folder: Path, code: str) -> Judgement:
    return check_text(folder, dedent(code))


def verdicts(judgement: Judgement) -> dict[str, str]:
    return {gradient.name: gradient.verdict for gradient in judgement.gradients}


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


@pytest.mark.parametrize("number", ["000", "001"])
def test_steps_of_the_thread_and_of_the_post_are_right(number: str, tmp_path: Path) -> None:
    judgement = judged(tmp_path, with_forward(document(number)))
    assert judgement.verdict == "right"
    assert set(verdicts(judgement)) == {"x", "prev_h", "prev_c", "Wx", "Wh", "b"}
    assert judgement.cell is not None
    assert (judgement.cell["name"], judgement.cell["gates"]) == ("lstm", "ifog")
    assert judgement.fault is None
    changes = [effect for effect in judgement.side_effects if "d_next_c" in effect]
    assert len(changes) == (number == "000")  # it adds to the caller's array


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


def test_loop_of_the_thread_is_right(tmp_path: Path) -> None:
    lines = document("000")
    own = SEQUENCE.format(loop=loop(lines, "for t in reversed(xrange(T))", "d_b +="))
    file = tmp_path / "code.py"
    file.write_text(with_forward(lines) + own, encoding="utf-8")
    (judgement,) = check_file(file, "lstm_backward")
    assert judgement.form == "sequence"
    assert judgement.verdict == "right", text(judgement)
    assert set(verdicts(judgement)) == {"x", "h0", "Wx", "Wh", "b"}


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


def test_rnn_of_the_thread_is_right(tmp_path: Path) -> None:
    lines = document("000")
    forward = loop(lines, "for t in xrange(len(inputs))", "loss +=")
    backward = loop(lines, "for t in reversed(xrange(len(inputs)))", "dhnext =")
    judgement = judged(tmp_path, CHUNK.format(forward=forward, backward=backward))
    assert judgement.verdict == "right", text(judgement)
    assert {"Wxh", "Whh", "Why", "bh", "by"} <= set(verdicts(judgement))


def test_a_fault_planted_in_the_thread_s_step_is_named(tmp_path: Path) -> None:
    code = with_forward(document("000"))
    wrong = re.sub(r"(d_f = \w+ \*) prev_c", r"\1 next_c", code)
    assert wrong != code
    judgement = judged(tmp_path, wrong)
    assert judgement.fault is not None
    assert judgement.fault["id"] == "lstm/df-c-for-c-prev"
    line = judgement.fault["line"]
    assert wrong.splitlines()[line - 1].strip().startswith("d_f =")
    assert f"theirs.py:{line}" in text(judgement)


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


def test_derivation_takes_the_local_gradient_at_h(tmp_path: Path) -> None:
    judgement = judged(tmp_path, DERIVED.format(at_h="(V.T @ g)", before=""))
    assert judgement.verdict == "wrong"
    gates = {f"{matrix}{gate}" for matrix in "WU" for gate in "ifec"}
    assert verdicts(judgement) == {"V": "right", **dict.fromkeys(gates, "wrong")}
    first = {gradient.name: gradient.first_wrong_T for gradient in judgement.gradients}
    assert first["V"] is None
    assert {first[name] for name in gates - {"We", "Ue"}} == {2}
    assert {first["We"], first["Ue"]} == {3}  # the exposure gate has the whole gradient at h already
    assert judgement.fault is not None
    assert judgement.fault["id"] == "lstm/dc-uses-local-dh"
    assert "only the local part" in judgement.fault["says"]
    assert judgement.fault["match_error"] < 1e-9
    assert [spot["text"].partition(" ")[0] for spot in judgement.fault["lines"]] == ["dc"]


def test_derivation_with_the_whole_gradient_is_right(tmp_path: Path) -> None:
    assert judged(tmp_path, DERIVED.format(at_h="dh", before="")).verdict == "right"


# -------------------------------------------------------- 003: the notes, their class and their derivation

READINGS = {
    "derivatives of values": ("x * (1 - x)", "1 - x**2"),
    "tanh's of its input": ("x * (1 - x)", "1 - np.tanh(x) ** 2"),
    "sigmoid's of its input": ("sigmoid(x) * (1 - sigmoid(x))", "1 - x**2"),
    "derivatives of inputs": ("sigmoid(x) * (1 - sigmoid(x))", "1 - np.tanh(x) ** 2"),
}
"""The notes do not show their derivatives: all four ways to read them."""

ERROR = {
    "x * (1 - x)": "dlogits-sigmoid-derivative-of-error",
    "sigmoid(x) * (1 - sigmoid(x))": "dlogits-derivative-of-sigmoid-of-error",
}
REST = {
    "derivatives of values": {"dc-derivative-of-input-in-dh"},
    "tanh's of its input": {"da-g-derivative-of-output"},
    "sigmoid's of its input": {"da-sigmoid-derivative-of-output", "dc-derivative-of-input-in-dh"},
    "derivatives of inputs": {"da-derivative-of-output"},  # of all four gates, the candidate's too
}


def notes(lines: list[str], sigmoid_derivative: str, tanh_derivative: str) -> str:
    """Return the class of the notes, with the functions that they do not show."""
    start = next(k for k, line in enumerate(lines) if line.startswith("self.H ="))
    stop = next(k for k, line in enumerate(lines) if k > start and line.startswith("def "))
    methods = "def __init__(self):\n" + indent("\n".join(lines[start:stop]), INDENT) + "\n"
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


@pytest.mark.parametrize("reading", READINGS)
def test_notes_have_a_derivative_too_many_and_one_tanh_derivative_wrong(reading: str, tmp_path: Path) -> None:
    code = notes(document("003"), *READINGS[reading])
    judgement = judged(tmp_path, code)
    assert judgement.verdict == "wrong"
    assert set(verdicts(judgement).values()) == {"wrong"}
    assert {gradient.first_wrong_T for gradient in judgement.gradients} <= {None, 1}
    error = f"lstm/{ERROR[READINGS[reading][0]]}"
    rest = {f"lstm/{fault}" for fault in REST[reading]}
    assert named(judgement) == {error} | rest
    assert judgement.fault is not None
    assert "no derivative of an activation" in judgement.fault["says"]
    assert "dlogits = p - onehot" in judgement.fault["equation"]

    (wrong,) = re.findall(r"\n +(\w+) = \w+_derivative\(\1\)\n", code)
    mended = re.sub(rf"\n +{wrong} = \w+_derivative\({wrong}\)\n", "\n", code)
    judgement = judged(tmp_path, mended)
    assert verdicts(judgement) | {"Wy": "right", "by": "right"} == verdicts(judgement)
    assert judgement.verdict == "wrong"
    assert named(judgement) == rest


def named(judgement: Judgement) -> set[str]:
    assert judgement.fault is not None, text(judgement)
    assert judgement.fault["match_error"] < 1e-9
    assert judgement.fault["lines"]
    return set(judgement.fault["id"].split(" + "))


def test_notes_with_both_mended_are_right(tmp_path: Path) -> None:
    code = notes(document("003"), *READINGS["derivatives of values"])
    code = re.sub(r"\n +(\w+) = \w+_derivative\(\1\)\n", "\n", code)
    assert judged(tmp_path, code.replace("tanh_derivative(c)", "tanh_derivative(tanh(c))")).verdict == "right"


def test_notes_derivation_lacks_the_way_through_the_cell_state(tmp_path: Path) -> None:
    """The gradient at h follows h -> c' -> h' alone, and not h -> c' -> c''."""
    through_h = "s = dh * e * (1 - np.tanh(c) ** 2); dai, daf, dac = "
    through_h += "s * n * i * (1 - i), s * c_prev * f * (1 - f), s * i * (1 - n * n)"
    judgement = judged(tmp_path, DERIVED.format(at_h="dh", before=through_h))
    assert judgement.verdict == "wrong"
    first = {g.name: g.first_wrong_T for g in judgement.gradients if g.verdict == "wrong"}
    assert "V" not in first
    assert set(first.values()) == {3}  # two steps ahead is the nearest that it misses
    assert named(judgement) == {"lstm/dh-prev-dc-without-dc-next"}


# ----------------------------------------------------------------------- 004: is this actually correct? Yes.


def test_the_chunk_in_question_is_right(tmp_path: Path) -> None:
    code = "import numpy as np\n" + function(document("004"), "lossFun")
    judgement = judged(tmp_path, code)
    assert judgement.verdict == "right", text(judgement)
    assert {"Wxh", "Whh", "Why", "bh", "by"} <= set(verdicts(judgement))
    assert judgement.cell is not None
    assert judgement.cell["name"] == "rnn"
    assert judgement.fault is None
    assert not any("clip" in note for note in judgement.notes)

    tight = re.sub(r"-5, 5,", "-0.01, 0.01,", code)
    assert tight != code
    judgement = judged(tmp_path, tight)
    assert judgement.verdict == "right"  # the gradient before it is clipped
    assert any("clip" in note for note in judgement.notes)

    later = re.sub(r"(dWhh \+= .*hs\[t)-1\]", r"\1]", code)
    assert later != code
    wrong = judged(tmp_path, later)
    assert wrong.fault is not None
    assert wrong.fault["id"] == "rnn/du-h-for-h-prev"
