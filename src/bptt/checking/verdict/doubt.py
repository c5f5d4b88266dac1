"""What may speak against a verdict: other numbers, small constants, clips, a bound that was reached."""

import ast
import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.file import Source
from bptt.checking.taps.example import ExampleError
from bptt.checking.taps.program import Program
from bptt.checking.verdict.gradient import Judged
from bptt.checking.verdict.judgement import again

CLIP = re.compile(r"(\bclip\([\w.\[\]]+, *)-(\d[\d.e]*), *\2(?=[,)])")
"""A clip of a name at bounds like -5 and 5."""

WIDE = 20
"""Clips at bounds from here up keep an exponential finite."""


def otherwise(source: Source, program: Program, judged: Judged) -> Iterator[tuple[Source, bool]]:
    """Yield a file as it may be meant: without small constants; where it is wrong, without clips."""
    guards = [True, False][: 1 + any(file.guarded for file in program.files.values())]
    yield from ((source, one) for one in guards[1:] if judged.verdict != "right")
    if judged.verdict == "wrong" and (text := CLIP.sub(r"\1-1e30, 1e30", source.text)) != source.text:
        notes = (*source.notes, "gradients are judged as if none were clipped")
        yield from ((replace(source.replaced(text), notes=notes), one) for one in guards)


def is_right(chosen: Chosen, program: Program, seed: int) -> bool:
    """Return whether no gradient is wrong under a loss in another program."""
    with contextlib.suppress(LookupError, ExampleError):
        return not again(chosen, program, seed).wrong
    return False


def wrong_at(found: Adjoints, chosen: Chosen, seed: int, seconds: float) -> list[tuple[int, Judged]]:
    """Return at which points gradients are wrong; none where these are few of many: a kink was too near.

    Where numbers are compared there are many: a mask may be right at one point, and wrong at others.
    """
    statements = found.point.case.program.table.statements
    trees = (statements[k].tree for k in {one.statement for one in found.record.executions})
    values = (ast.unparse(tree.value) for tree in trees if isinstance(tree, ast.Assign | ast.AugAssign))
    bends, until = any(re.search(r"[<>]|maximum|where", text) for text in values), time.monotonic() + seconds
    tried, wrong = 0, list[tuple[int, Judged]]()
    while tried < (15 if bends else 1) and (not tried or time.monotonic() < until):
        judged = again(chosen, found.point.case.program, seed + tried)
        wrong += [(seed + tried, judged)] if judged.wrong else []
        tried += 1
    return wrong if 5 * len(wrong) > tried else []


def held_back(found: Adjoints) -> str:
    """Return which wide clip of the forward, as ``clip(y, -100, 100)``, is at its bound: it guards an exp."""
    for seen in found.seen():
        tree = found.point.case.program.table.nodes[seen.node].tree
        match tree:
            case ast.Call(ast.Attribute(attr="clip"), [*_, ast.Constant(float() | int() as high)]):
                if high >= WIDE and np.abs(seen.numbers).max() >= high:
                    return f"`{ast.unparse(tree)}` of line {tree.lineno} holds numbers at its bound"
    return ""
