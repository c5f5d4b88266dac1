"""What speaks against the verdict on an example that the tool has written: it may call the code wrongly."""

import ast
import re

import numpy as np

from bptt.checking.file import bound
from bptt.checking.taps.values import shape, written
from bptt.checking.telling import Examined

ONE_SEQUENCE = "it is right for one sequence only: with several in a batch it is not"
ONE_STEP = "the example shows one step of time only"

FEW = 3  # results that are gradients, of which fewer do not tell which loss is meant


def against(one: Examined, before: list[Examined], *, asked: bool) -> tuple[str, str]:
    """Return the verdict and the reason, where an example was written: it may call the code wrongly.

    A main program that nobody has `asked` for is as one that was written: made short, it may be another.
    """
    marked, verdict = one.example.marked, one.judged.verdict
    is_short = not asked and re.match("the (?:top level|__main__)", one.example.origin)
    said = {g.verdict for g in one.judged.gradients}
    # much of the backward is what it must be: it was called as it wants to be
    is_meant = one.chosen.explained > max(FEW, one.chosen.of / 6)
    is_meant |= one.chosen.candidate.kind == "scalar" and "loss" in marked and _is_shared(one)
    if verdict == "wrong" and marked and one.chosen.candidate.inner:
        return "cannot tell", "at which results it takes gradients is not clear: it may be called wrongly"
    if (marked or is_short) and not is_meant and said <= {"wrong", "not given"}:
        return "cannot tell", "no gradient is right: the example that was written may call it wrongly"
    idle = [g for g in one.judged.gradients if g.verdict == "not given" and g.note]
    if verdict == "right" and marked and idle:
        return "cannot tell", f"{idle[0].name}: {idle[0].note}"
    flags = re.compile(r"\b(True|False)\b")  # both may be asked for
    alike = (other for other in before if flags.sub("", other.example.marked) == flags.sub("", marked))
    if verdict == "right" and marked and any(other.judged.wrong for other in alike):
        return "cannot tell", "with True or False in other places of the example gradients are wrong"
    rows = re.search(r"«(T )?N (T )?D", marked)
    if verdict == "right" and rows and any(other.example.marked == marked for other in before):
        alone = [other for other in before if str(other.example.sizes["N"]) == "1"]
        is_sequence = all(other.judged.verdict != "wrong" for other in alone)  # or it is one step of several
        return "cannot tell", ONE_SEQUENCE if is_sequence else "it is right at some sizes only"
    single = re.search(r"«(?:tokens|labels) [1N]»", marked) and str(one.example.sizes["N"]) == "1"
    if verdict == "right" and marked and (single or _steps_used(one) == 1):
        return "cannot tell", ONE_STEP
    return verdict, one.judged.reason


def _is_shared(one: Examined) -> bool:
    """Return whether all data that an example hands to its last call were used before, or are in its loss."""
    *lead, last = ast.parse(one.example.text).body
    if one.chosen.candidate.text in bound(last):
        return True
    data, used = set[str](), set[str]()
    for node in lead:
        used |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        calls = (ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call))
        data |= set() if any(name[:3] != "np." for name in calls) else {*bound(node)}
    return {n.id for n in ast.walk(last) if isinstance(n, ast.Name)} & data <= used


def _steps_used(one: Examined) -> int:
    """Return on how many steps of an input through time the loss depends; 0 where there is none."""
    found, steps = one.found, int(one.example.sizes["T"])
    for path in found.point.given:
        value, name = found.record.held[-1].get(path), re.escape(written(path))
        axis = [n for n, size in enumerate(shape(value)) if size == steps] if value is not None else []
        if path in found.arrays and len(axis) == 1 and re.search(rf"\b{name}\b.*=.*«T", one.example.marked):
            size = int(np.prod(shape(value)))
            entries = found.entries(one.chosen.candidate.terms, size, path=path).reshape(shape(value))
            used = np.abs(np.moveaxis(entries, axis[0], 0)).reshape(steps, -1).max(axis=1) > 1e-9
            if used.any():
                return int(used.sum())
    return 0
