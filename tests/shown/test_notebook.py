"""In a real kernel: a notebook's cell works as a file's does, values show themselves, training is watched."""

from pathlib import Path

import pytest

from kernel import Output, run_cells

CELLS = {
    "before": """
import os, signal, subprocess, sys, threading
import numpy as np
import bptt
KEEP = 0.9
def squash(u):
    return 1.5 * u * sigmoid(u)
open("t.txt", "w").write("one two three " * 60);
""",
    "cell": """
@bptt.cell(state="h c")
def mine(a_f, a_g, c):
    f = sigmoid(a_f)
    c = f * c + (1 - f) * squash(a_g) * KEEP
    h = tanh(c)
    return h, c
mine""",
    "train": """
sizes = dict(hidden=5, batch=2, chunk=4, report_every=2, eval_every=2)
settings = bptt.Settings.of(data="t.txt", cell=mine, steps=6, **sizes)
trainer = bptt.Trainer.start(settings, "run")
for report in trainer.reports(lambda: trainer.step >= 4): pass
trainer""",
    "resume": """
trained = bptt.watch(bptt.Trainer.resume("run"))""",
    "sample": """
print(next(iter(trained.write(1, length=9))).text)
trained""",
    "flow": """
(text, ids), = trained.ids_of("t.txt").items()
bptt.flow.of_text(trained.model, trained.params, ids, rng=np.random.default_rng(0), lags=4, positions=3)""",
    "command": """
for words in ("verify run", "export run --to onnx --out x.onnx"):
    done = subprocess.run([sys.executable, "-m", "bptt", *words.split()], capture_output=True, text=True)
    print(done.stdout, done.stderr)""",
    "again": """
@bptt.cell(state="h c")
def mine(a_f, a_g, c):
    f = sigmoid(a_f)
    c = f * c + (1 - f) * tanh(a_g)
    h = tanh(c)
    return h, c
print(bptt.derive.page(mine))""",
    "error": """
@bptt.cell
def odd(a_h, h):
    for k in range(3):
        h = tanh(a_h)
    return h""",
    "faulty": """
def forward(x, W):
    y = np.tanh(x @ W)
    return y, (x, W, y)
def backward(dy, cache):
    x, W, y = cache
    da = dy * (1 - y)
    return da @ W.T, x.T @ da
rng = np.random.default_rng(0)
x, W = rng.normal(size=(2, 3)), rng.normal(size=(3, 4))""",
    "example": """
def example():
    y, cache = forward(x, W)
    dy = np.random.randn(*y.shape)
    dx, dW = backward(dy, cache)
bptt.check(example)""",
    "function": """
def loss_and_grads(p):
    y, cache = forward(p["x"], p["W"])
    dx, dW = backward(np.ones_like(y), cache)
    return y.sum(), {"x": dx, "W": dW}
bptt.check(loss_and_grads, {"x": x, "W": W})""",
    "mended": """
def backward(dy, cache):
    x, W, y = cache
    da = dy * (1 - y**2)
    return da @ W.T, x.T @ da
bptt.check(example)""",
    "stopped": """
settings = bptt.Settings.of(data="t.txt", steps=10**7, **sizes)
trainer = bptt.Trainer.start(settings, "stopped")
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
bptt.watch(trainer, samples=False)
print(trainer.end)""",
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Output]:
    outputs = run_cells([cell.strip() for cell in CELLS.values()], tmp_path_factory.mktemp("notebook"))
    return dict(zip(CELLS, outputs, strict=True))


def test_nothing_fails_but_what_should(shown: dict[str, Output]) -> None:
    assert {name: out.error for name, out in shown.items() if out.error and name != "error"} == {}


def test_a_cell_of_the_notebook_is_read_trained_resumed_and_sampled(shown: dict[str, Output]) -> None:
    assert "<math" in shown["cell"].data["text/html"]
    assert "align*" in shown["cell"].data["text/latex"]
    assert "stopped" in shown["train"].data["text/plain"]
    assert "<trained mine: 1 x 5 units" in shown["sample"].data["text/plain"]
    assert "<svg" in shown["sample"].data["text/html"]
    assert len(shown["sample"].printed) == 10
    assert "last lag" in shown["flow"].data["text/html"]


def test_its_run_is_a_run_of_the_command(shown: dict[str, Output]) -> None:
    assert "describes mine" in shown["command"].printed
    assert "run for ONNX is in x.onnx" in shown["command"].printed


def test_a_cell_that_is_defined_anew_is_another(shown: dict[str, Output]) -> None:
    assert "squash" in shown["cell"].data["text/html"]
    assert "tanh(a_g)" in shown["again"].printed
    assert "squash" not in shown["again"].printed


def test_an_error_names_the_cell_and_its_line(shown: dict[str, Output]) -> None:
    number = list(CELLS).index("error") + 1
    assert shown["error"].error.startswith(f"EquationError: cell [{number}]:3: odd: a loop")


@pytest.mark.parametrize("name", ["example", "function"])
def test_a_fault_is_named_by_its_cell_and_mended(shown: dict[str, Output], name: str) -> None:
    number = list(CELLS).index("faulty") + 1
    report = shown[name].data["text/plain"]
    assert f"The first wrong statement is notebook: cell {number}, line 6" in report
    assert f"the gradient at `x @ W` of cell {number}, line 2" in report
    assert "`y` stands where `y ** 2` belongs" in report
    html = shown[name].data["text/html"]
    assert '<span class="added">+    da = dy * (1 - y ** 2)</span>' in html
    assert '<span class="gone">-    da = dy * (1 - y)</span>' in html


def test_what_is_defined_anew_is_what_is_judged(shown: dict[str, Output]) -> None:
    assert shown["mended"].data["text/plain"].startswith("notebook: the gradients are right")


def test_training_is_watched_in_one_picture(shown: dict[str, Output]) -> None:
    html, text = (shown["resume"].data[kind] for kind in ("text/html", "text/plain"))
    assert html.count('<svg class="curves" xmlns') == 1
    assert "step 6 of 6: training loss" in text
    assert "all steps are done." in text
    assert "it writes:" in text
    assert shown["resume"].printed == ""


def test_an_interruption_saves(shown: dict[str, Output], tmp_path: Path) -> None:
    assert shown["stopped"].printed.splitlines()[-1] == "stopped"
    assert "bptt train --resume stopped" in shown["stopped"].data["text/plain"]
