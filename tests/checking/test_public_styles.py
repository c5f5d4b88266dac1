"""Styles in which people publish recurrent code, each right and with one fault planted.

All of it is our own, in the forms that public code has: what is recognised by itself must be found right, and
wrong where a term is changed; never wrong where it is only unusual.
"""

import json
from pathlib import Path

import pytest

from bptt.checking import SubjectError, check_file
from bptt.checking.adapters import find
from bptt.checking.judge import judge
from bptt.checking.source import load
from judged.public_functions import FUNCTIONS, MEAN
from judged.public_layers import LAYERS, UPDATES
from judged.public_models import MODELS
from source_files import check_text

STYLES = {**LAYERS, **MODELS, **FUNCTIONS}


@pytest.mark.parametrize("name", STYLES)
def test_right_code_is_right(name: str, tmp_path: Path) -> None:
    judgement = check_text(tmp_path, STYLES[name].text)
    assert judgement.verdict == "right", judgement
    assert STYLES[name].notes in " ".join(judgement.notes)


@pytest.mark.parametrize("name", STYLES)
def test_a_fault_is_found(name: str, tmp_path: Path) -> None:
    style = STYLES[name]
    assert style.text.count(style.right) == 1
    path = tmp_path / "theirs.py"
    path.write_text(style.text.replace(style.right, style.wrong), encoding="utf-8")
    source = load(path)
    [subject] = find(source.namespace, source=source.text)
    assert judge(subject).judgement.verdict == "wrong"


def test_clipping_by_norm_is_taken_away_and_said(tmp_path: Path) -> None:
    assert "scaled down by their norm" in " ".join(check_text(tmp_path, MEAN.text).notes)


def test_a_notebook_with_magics(tmp_path: Path) -> None:
    first, _, rest = UPDATES.text.partition("\nclass")
    cells = ["%matplotlib inline\n!pip install numpy\n" + first, "class" + rest, "net = RNN(3, 3)\nnet.fit?"]
    book = {"cells": [{"cell_type": "code", "source": cell.splitlines(True)} for cell in cells]}
    path = tmp_path / "theirs.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    [judgement] = check_file(path)
    assert judgement.verdict == "right"


ADAPTER = """
from theirs import RNN
from bptt.checking import change, put, weights
def subject(rng, T, D, H, V):
    net, x, y = RNN(D, V, H), rng.normal(size=(T, D, 1)), rng.normal(size=(V, 1))
    def run(**at):
        put(net, at)
        out, _ = net.forward(x)
        net.backprop(out - y, learn_rate=1.0)
        return ((out - y) ** 2).sum() / 2, change(net, at)
    return weights(net, rng), run
"""


@pytest.mark.parametrize(("change", "verdict"), [(UPDATES.right, "right"), (UPDATES.wrong, "wrong")])
def test_an_adapter_with_helpers_takes_ten_lines(change: str, verdict: str, tmp_path: Path) -> None:
    assert len(ADAPTER.strip().splitlines()) <= 10
    (tmp_path / "theirs.py").write_text(UPDATES.text.replace(UPDATES.right, change), encoding="utf-8")
    (tmp_path / "how.py").write_text(ADAPTER, encoding="utf-8")
    [judgement] = check_file(tmp_path / "theirs.py", adapter=tmp_path / "how.py")
    assert (judgement.verdict, judgement.subject, judgement.form) == (verdict, "how.py", "chunk")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class A:\n def __init__(self, hidden_size):\n  self.W = rd.randn(hidden_size, 3)\n", "rd"),
        ("import torch\ndef strange_forward(q): return q\n", "uses PyTorch"),
        ("def loss_of(inputs, targets): return 0\n", "loss, dW, dWy, *_ = loss_of("),
        ("from help_me import *\ndef f(x): return add_ones(x)\n", "defines add_ones"),
        ("from help_me import *\ndef f(x): return add_ones(x)\n", "from help_me import * could not"),
        ("from help_me import Base\nclass A(Base):\n def f(self): pass\n", "Base could not be imported"),
        ("class A:\n def __init__(self): pass\n", "net, x, targets = A(D, H, V)"),
    ],
)
def test_what_is_not_recognised_is_explained(text: str, said: str, tmp_path: Path) -> None:
    if "torch" in text:
        pytest.importorskip("torch")
    if "rd" in said:
        text += " def forward(self, x): return x\n def backward(self, dy): return dy\n"
    with pytest.raises(SubjectError, match=r"--adapter") as caught:
        check_text(tmp_path, text)
    assert said in str(caught.value)


ONE_INPUT = """
import numpy as np

class Net:
    def __init__(self, input_dim, hidden_dim, output_dim):
        self.Wxh, self.Whh = np.random.randn(hidden_dim, input_dim), np.random.randn(hidden_dim, hidden_dim)
        self.Why = np.random.randn(output_dim, hidden_dim)
        self.bh, self.by = np.zeros((hidden_dim, 1)), np.zeros((output_dim, 1))
    def forward(self, inputs):
        h = np.zeros((self.Whh.shape[0], 1))
        self.inputs, self.hs = inputs, {0: h}
        for t, x in enumerate(inputs):
            h = self.hs[t + 1] = np.tanh(self.Wxh @ x + self.Whh @ h + self.bh)
        return self.Why @ h + self.by
    def backward(self, dy):
        dWxh, dWhh, dWhy = np.zeros_like(self.Wxh), np.zeros_like(self.Whh), dy @ self.hs[len(self.inputs)].T
        dbh, dby, dh = np.zeros_like(self.bh), dy, self.Why.T @ dy
        for t in reversed(range(len(self.inputs))):
            da = (1 - self.hs[t + 1] ** 2) * dh
            dbh += da
            dWxh += da @ self.inputs[t].reshape(-1, 1)
            dWhh += da @ self.hs[t].T
            dh = self.Whh.T @ da
        return dWxh, dWhh, dWhy, dbh, dby
"""


def test_what_runs_for_one_input_alone_is_judged_there(tmp_path: Path) -> None:
    judgement = check_text(tmp_path, ONE_INPUT)
    assert judgement.verdict == "right"
    assert "one input (D = 1, N = 1) alone" in " ".join(judgement.notes)


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("self.Whh.T @ da", "self.Whh @ da", "rnn/dh-prev-u-untransposed"),
        ("+= da", "= da", "rnn/cell-weights-first-only-step"),
    ],
)
def test_a_prediction_at_the_last_step_hides_no_fault(
    right: str, wrong: str, fault: str, tmp_path: Path
) -> None:
    text = ONE_INPUT.replace(".reshape(-1, 1)", ".T").replace(right, wrong)
    judgement = check_text(tmp_path, text)
    assert (judgement.fault or {}).get("id") == fault


STEP = """
import numpy as np

def cell_forward(Z, H, Wx, Wh, b):
    h = np.tanh(Z @ Wx + H @ Wh + b)
    return h, (Z, H, Wx, Wh, h)

def cell_backward(dh, cache):
    Z, H, Wx, Wh, h = cache
    da = dh * (1 - h * h)
    return da @ Wx.T, da @ Wh.T, Z.T @ da, H.T @ da, da.sum(0)
"""


def test_a_backward_that_fails_is_told_with_its_line_and_the_arrays(tmp_path: Path) -> None:
    with pytest.raises(SubjectError) as caught:
        check_text(tmp_path, STEP.replace("= cache", ", more = cache"))
    assert "cell_forward runs with Z (2, 5), H (2, 4)" in str(caught.value)
    assert "theirs.py:9: ValueError: not enough values" in str(caught.value)


def test_names_that_nothing_defines_are_said(tmp_path: Path) -> None:
    text = STEP.replace("Z, H, Wx, Wh, h)", "Z, H, h)").replace("Wx, Wh, h = cache", "h = cache")
    judgement = check_text(tmp_path, text)
    assert judgement.verdict == "right"
    assert "Wx, Wh: what is read by these names is not defined" in " ".join(judgement.notes)


def test_a_diagnosis_that_crashes_loses_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise KeyError("V")

    monkeypatch.setattr("bptt.checking.diagnose.diagnose", crash)
    judgement = check_text(tmp_path, STEP.replace("H.T @ da", "h.T @ da"))
    assert judgement.verdict == "wrong"
    assert "the diagnosis failed by itself (KeyError: 'V'); the verdict stands" in judgement.notes


WITH_OUTPUT = """
import numpy as np

def rnn_forward(x, a0, p):
    a = a0
    for t in range(3):
        a = np.tanh(p["Wax"] @ x + p["Waa"] @ a + p["ba"])
    return a

def rnn_cell_forward(xt, a_prev, parameters):
    Wax, Waa, Wya = parameters["Wax"], parameters["Waa"], parameters["Wya"]
    a_next = np.tanh(Wax @ xt + Waa @ a_prev + parameters["ba"])
    e = np.exp(Wya @ a_next + parameters["by"])
    return a_next, e / e.sum(axis=0), (a_next, a_prev, xt, parameters)

def rnn_cell_backward(da_next, cache):
    a_next, a_prev, xt, parameters = cache
    d = (1 - a_next ** 2) * da_next
    return {"dxt": parameters["Wax"].T @ d, "da_prev": parameters["Waa"].T @ d, "dWax": d @ xt.T,
            "dWaa": d @ a_prev.T, "dba": d.sum(axis=1, keepdims=True)}
"""


def test_an_output_without_a_gradient_of_its_own_is_no_hindrance(tmp_path: Path) -> None:
    judgement = check_text(tmp_path, WITH_OUTPUT.replace('"dWaa": d @ a_prev.T', '"dWaa": d @ a_next.T'))
    assert (judgement.fault or {}).get("id") == "rnn/du-h-for-h-prev"


CUT = """
import numpy as np

def rnn_forward(x, h0, Wx, Wh, b):
    hs = [h0]
    for t in range(len(x)):
        hs.append(np.tanh(x[t] @ Wx + hs[-1] @ Wh + b))
    return np.array(hs[1:]), (x, np.array(hs), Wx, Wh)

def rnn_backward(dh, cache):
    x, hs, Wx, Wh = cache
    dx, dh0, dWx, dWh, db = (np.zeros_like(a) for a in (x, hs[0], Wx, Wh, Wh[0]))
    for t in range(len(x)):
        d = dh[t]
        for s in range(t, max(-1, t - 5), -1):
            da = d * (1 - hs[s + 1] ** 2)
            dx[s] += da @ Wx.T
            dWx += x[s].T @ da
            dWh += hs[s].T @ da
            db += da.sum(0)
            d = da @ Wh.T
        dh0 += d * (s == 0)
    return dx, dh0, dWx, dWh, db
"""


def test_a_backward_cut_off_without_a_word_is_wrong_from_some_T_on(tmp_path: Path) -> None:  # noqa: N802
    judgement = check_text(tmp_path, CUT)
    assert judgement.verdict == "wrong"
    assert {j.first_wrong_T for j in judgement.gradients} == {6}
    assert "right for fewer than 6 time steps" in " ".join(judgement.notes)


def test_truncation_by_design_is_no_fault(tmp_path: Path) -> None:
    text = CUT.replace("t - 5", "t - TRUNCATE_AT").replace(
        "import numpy as np", "import numpy as np\nSTEPS = 5"
    )
    text = text.replace("TRUNCATE_AT", "STEPS  # truncation = 5 steps\n            ")
    judgement = check_text(tmp_path, text)
    assert judgement.verdict == "right"
    assert "truncated by design; right for fewer than 6 steps" in " ".join(judgement.notes)


STATEFUL_ADAPTER = """
import numpy as np, theirs as m
from bptt.checking import gradients, put, unroll, weights
def subject(rng, T, D, H):
    m.STEPS, x, dh = T, rng.normal(size=(T, D)), rng.normal(size=(T, H))
    def run(**at):
        net = put(m.Net(D, H), at)
        loss = (dh * unroll(net.step, x, np.ones(H))).sum()
        net.through_time(dh)
        return loss, gradients(net, at)
    return weights(m.Net(D, H), rng), run
"""

STATEFUL = """
import numpy as np

class Net:
    def __init__(self, input_size, hidden_size):
        self.W, self.U = np.zeros((hidden_size, input_size)), np.eye(hidden_size)
        self.b = np.zeros(hidden_size)
        self.c, self.steps = self.b + 1.0, []
    def step(self, x, h):
        self.steps.append((x, h, np.tanh(self.W @ x + self.U @ h + self.b + self.c)))
        return self.steps[-1][-1]
    def through_time(self, dhs):
        assert len(dhs) == STEPS
        self.dW, self.dU, self.db = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.b)
        back = 0.0
        for dh, (x, before, h) in zip(dhs[::-1], self.steps[::-1]):
            da = (dh + back) * (1 - h * h)
            self.dW += np.outer(da, x)
            self.dU += np.outer(da, before)
            self.db += da
            back = self.U.T @ da
        self.dc = self.db  # the same array
"""


@pytest.mark.parametrize(("change", "verdict"), [("self.U.T @ da", "right"), ("self.U @ da", "wrong")])
def test_an_adapter_for_steps_with_a_backward_through_time(change: str, verdict: str, tmp_path: Path) -> None:
    assert len(STATEFUL_ADAPTER.strip().splitlines()) <= 10
    (tmp_path / "theirs.py").write_text(STATEFUL.replace("self.U.T @ da", change), encoding="utf-8")
    (tmp_path / "how.py").write_text(STATEFUL_ADAPTER, encoding="utf-8")
    [judgement] = check_file(tmp_path / "theirs.py", adapter=tmp_path / "how.py")
    assert judgement.verdict == verdict
    assert {j.name for j in judgement.gradients} == {"W", "U", "b", "c"}
    assert not any("failed" in note for note in judgement.notes)
