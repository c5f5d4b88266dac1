"""The first statement that is wrong is found, with what it must give; right code raises no suspicion."""

from pathlib import Path

import numpy as np
import pytest

from bptt.checking.locate.classes import classify
from bptt.checking.locate.search import locate
from small_files import CODE, changed, examined, line

TWO = changed(
    ("        da = dh * (1 - h**2)\n", "        dW_, dU_, dx, dh = step(x, before, h, W, U, dh)\n"),
    ("        dW += x.T @ da\n", "        dW += dW_\n"),
    ("        dU += before.T @ da\n", "        dU += dU_\n"),
    ("        dxs.insert(0, da @ W.T)\n        dh = da @ U.T\n", "        dxs.insert(0, dx)\n"),
    ("def backward", "def step(x, before, h, W, U, d):\n    da = d * (1 - h**2)\n"
     "    return x.T @ da, before.T @ da, da @ W.T, da @ U.T\n\ndef backward"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("code", "old", "new", "at"),
    [
        (CODE, "da = dh * (1 - h**2)", "da = dh * (1 + h**2)", "da ="),
        (CODE, "da = dh * (1 - h**2)", "slope = 1 - h\n        da = dh * slope", ""),
        (CODE, "dW += x.T @ da", "dW += x.T @ dh", "dW +="),
        (CODE, "dU += before.T @ da", "dU += h.T @ da", "dU +="),
        (CODE, "dh = da @ U.T", "dh = da @ U", "dh ="),
        (CODE, "dh = da @ U.T", "dh = dh @ U.T", "dh ="),
        (TWO, "step(x, before, h, W, U, dh)", "step(x, before, h, W, U, dh * h)", "dW_, dU_"),
    ],
)
def test_the_first_statement_that_is_wrong(code: str, old: str, new: str, at: str, tmp_path: Path) -> None:
    wrong = changed((old, new), code=code)
    one = examined(tmp_path, wrong)
    assert one.judged.verdict == "wrong"
    first = locate(one.found, one.chosen, one.judged, seconds=30)[0]
    statement = first.caller or first.statement
    fits = [line(wrong, at)] if at else [line(wrong, "slope ="), line(wrong, "da =")]
    assert statement.tree.lineno in fits


def test_what_it_must_give_is_what_the_right_one_gives(tmp_path: Path) -> None:
    one = examined(tmp_path, changed(("dh = da @ U.T", "dh = da @ U")))
    first = locate(one.found, one.chosen, one.judged, seconds=30)[0]
    kept, _, U = one.found.point.case.run().names["cache"]
    dout = one.found.point.case.run().names["dout"]
    _, _, h = kept[-1]
    np.testing.assert_allclose(first.targets[0], (dout * (1 - h**2) @ U.T).reshape(-1), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "code",
    [
        CODE,
        TWO,
        changed(("da = dh * (1 - h**2)", "square = dh * h**2\n        da = dh - square")),
        changed(("dh = da @ U.T", "dh = np.einsum('nh,kh->nk', da, U)")),
        changed(("da = dh * (1 - h**2)", "half = 0.5 * dh\n        da = 2 * half * (1 - h) * (1 + h)")),
    ],
)
def test_right_code_raises_no_suspicion(code: str, tmp_path: Path) -> None:
    one = examined(tmp_path, code)
    assert one.judged.verdict == "right"
    assert not [step.statement.tree.lineno for step in classify(one.found, one.chosen) if step.suspect]
