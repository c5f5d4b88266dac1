"""Edits of whole statements: each kind is among those that are tried, and all are Python."""

import ast
import textwrap
from collections.abc import Sequence

import pytest

from bptt.checking.mend.edit import Edit, Text
from bptt.checking.mend.statements import rewrites

KINDS = {
    "is added to": ("for t in r:\n    dW = x[t] @ d\n", "for t in r:\n    dW += x[t] @ d\n"),
    "is assigned": ("for t in r:\n    dh += W @ d\n", "for t in r:\n    dh = W @ d\n"),
    "sign": ("dW += d\n", "dW -= d\n"),
    "in place": ("d -= y\nreturn d\n", "d = d - y\nreturn d\n"),
    "one-hot": ("dU += np.outer(d, x[t])\n", "dU[:, x[t]] += d\n"),
    "too much": ("a = d\na = a * 2\nreturn a\n", "a = d\nreturn a\n"),
    "before": ("c = d * 2\nd = d + n\nreturn c\n", "d = d + n\nc = d * 2\nreturn c\n"),
    "reset": (
        "for t in r:\n    dW = np.zeros(3)\n    dW += x[t]\n",
        "dW = np.zeros(3)\nfor t in r:\n    dW += x[t]\n",
    ),
    "return in the loop": (
        "for t in r:\n    d = d + x[t]\n    return d\n",
        "for t in r:\n    d = d + x[t]\nreturn d\n",
    ),
    "reversed": ("for t in range(n):\n    d = f(d)\n", "for t in reversed(range(n)):\n    d = f(d)\n"),
    "forward": ("for t in range(n)[::-1]:\n    d = f(d)\n", "for t in range(n):\n    d = f(d)\n"),
    "bounds": ("for t in range(n - 1, 0, -1):\n    f(t)\n", "for t in range(n - 1, -1, -1):\n    f(t)\n"),
    "later": (
        "own = d * 2\ndx = own @ W\nda = own + c\n",
        "own = d * 2\nda = own + c\ndx = da @ W\n",
    ),
    "seeded": ("dW = W.copy()\ndW += d\n", "dW = np.zeros_like(W)\ndW += d\n"),
    "unpacked": ("dW, dU = f(d)\n", "dU, dW = f(d)\n"),
    "returned": ("return dW, dU\n", "return dU, dW\n"),
}


def edited(text: Text, suspects: Sequence[int] = ()) -> list[Edit]:
    (function,) = text.tree.body
    assert isinstance(function, ast.FunctionDef)
    return rewrites(text, [function], suspects)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_tried(kind: str) -> None:
    wrong, right = ("def back(x, d, r):\n" + textwrap.indent(body, "    ") for body in KINDS[kind])
    text = Text(wrong)
    found = [edit.applied(wrong) for edit in edited(text)]
    assert right in found
    for new in found:
        ast.parse(new)


def test_what_is_near_a_suspect_comes_first() -> None:
    body = "".join(f"    a{i} = b{i}\n    c[{i}] += a{i}\n" for i in range(9))
    text = Text(f"def back(c):\n{body}")
    first = edited(text, [7])[0]
    assert abs(text.line(first.changes[0][0]) - 7) <= 1


def test_lines_shared_by_statements_are_left_alone() -> None:
    text = Text("def back(d):\n    a = d; b = a * 2; b += a\n    return b\n")
    for edit in edited(text):
        assert sum(isinstance(n, ast.stmt) for n in ast.walk(ast.parse(edit.applied(text.text)))) == 5
