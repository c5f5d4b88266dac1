"""A recurrent net of fifteen lines with one example: what each room's tests plant their faults in."""

from pathlib import Path

from bptt.checking.examine import examine
from bptt.checking.example import given
from bptt.checking.file import read
from bptt.checking.taps.program import Program
from bptt.checking.telling import Examined

CODE = """
import numpy as np

def forward(xs, h, W, U):
    kept = []
    for x in xs:
        before, h = h, np.tanh(x @ W + h @ U)
        kept.append((x, before, h))
    return h, (kept, W, U)

def backward(dh, cache):
    kept, W, U = cache
    dW, dU, dxs = np.zeros_like(W), np.zeros_like(U), []
    for x, before, h in reversed(kept):
        da = dh * (1 - h**2)
        dW += x.T @ da
        dU += before.T @ da
        dxs.insert(0, da @ W.T)
        dh = da @ U.T
    return np.array(dxs), dh, dW, dU
"""
EXAMPLE = """
xs, h, W, U = np.random.randn(3, 2, 5), np.random.randn(2, 4), np.random.randn(5, 4), np.random.randn(4, 4)
dout = np.random.randn(2, 4)
out, cache = forward(xs, h, W, U)
dxs, dh, dW, dU = backward(dout, cache)
"""


def changed(*edits: tuple[str, str], code: str = CODE) -> str:
    """Return the code with pieces of it replaced; each stands there once."""
    for old, new in edits:
        assert code.count(old) == 1, old
        code = code.replace(old, new)
    return code


def program(folder: Path, code: str = CODE, example: str = EXAMPLE) -> Program:
    """Return the code with its taps and an example."""
    path = folder / "code.py"
    path.write_text(code, encoding="utf-8")
    return Program(read(path), example)


def examined(folder: Path, code: str = CODE, example: str = EXAMPLE) -> Examined:
    """Return the code, measured and judged."""
    source = program(folder, code, example).source
    found = examine(source, given(example))
    assert isinstance(found, Examined), found
    return found


def line(code: str, start: str) -> int:
    """Return the number of the line that begins so."""
    return next(n for n, text in enumerate(code.splitlines(), 1) if text.strip().startswith(start))
