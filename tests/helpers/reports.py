"""A report made by hand, of a file that is there."""

from pathlib import Path

from bptt.checking import Report
from bptt.checking.file import read

CODE = """import numpy as np


def layer(x, W):
    y = np.tanh(x @ W)
    loss = np.sum(y * y)
    da = 2 * y * (1 - y)
    return loss, x.T @ da
"""
EXAMPLE = "x, W = np.random.randn(2, 3), np.random.randn(3, 4)\nloss, dW = layer(x, W)"
MENDED = CODE.replace("(1 - y)", "(1 - y ** 2)")


def wrong(folder: Path) -> Report:
    """Write a file that is wrong, and return what is known of it."""
    file = folder / "layer.py"
    file.write_text(CODE, encoding="utf-8")
    source = read(file)
    text, place = "da = 2 * y * (1 - y)", f"{file}:7"
    return Report(
        "wrong",
        str(file),
        EXAMPLE,
        "the command line",
        loss="loss",
        kind="scalar",
        gradients=[
            {
                "name": "W",
                "verdict": "wrong",
                "error": 0.5,
                "where": "dW",
                "note": "",
                "at": [0, 1],
                "got": 1.5,
                "wanted": 0.25,
            },
            {"name": "x", "verdict": "not given", "error": 0.0, "where": "", "note": ""},
        ],
        located=[
            {
                "place": place,
                "path": str(file),
                "line": 7,
                "text": text,
                "must": "the gradient at `x @ W` of line 5",
                "got": [1.0, 2.0],
                "wanted": [1.0, 0.5],
                "equation": "da = dy * (1 - y ** 2)",
            }
        ],
        mends=[
            {
                "place": place,
                "path": str(file),
                "line": 7,
                "before": text,
                "after": "da = 2 * y * (1 - y ** 2)",
                "reason": "`1 - y` stands where `1 - y ** 2` belongs",
            }
        ],
        whole=True,
        diff=source.diff(source.replaced(MENDED)),
        fixed={str(file): MENDED},
        trace=[{"place": place, "line": 7, "text": text, "is": "a part of one", "times": [False]}],
    )
