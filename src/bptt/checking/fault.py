"""A fault: a change of a backward, with a name and a sentence."""

import re
from dataclasses import dataclass
from functools import cache

from bptt.checking.reference import Reference, Term, Version

EDGES = ("dh_last", "dc_last", "dh0", "dc0", "dh_next", "dc_next")
"""Gradients at the ends of the time loop, and those from one step to the one before."""


@dataclass(frozen=True)
class Fault:
    """A change of a backward.

    Attributes
    ----------
    id : str
        Cell, gradient and change, as in ``lstm/dc-dy-for-dh``; stable.
    rank : int
        How far-fetched it is: of faults with the same numbers the one of least rank is reported.
    says : str
        A sentence.
    fix : str
        The equations as they should be.
    version : dict of Line
        The changed lines.
    """

    id: str
    rank: int
    says: str
    fix: str
    version: Version


def fault_id(cell: Reference, target: str, slug: str) -> str:
    """Return the id of a change of one gradient's line; the RNN's lines go without the gate's letter."""
    name = f"{slug_of(target)}-{slug}"
    return f"{cell.name}/{re.sub('-a(?=-|$)', '', name) if cell.gates == ('a',) else name}"


@cache
def slug_of(thing: str | Term) -> str:
    """Return letters, digits and hyphens for a name, or for a term by its first factor."""
    name = thing if isinstance(thing, str) else thing.factors[0]
    for mark, word in (("²", "2"), ("σ", "sigma"), ("'", "-derivative"), (">", "-above-")):
        name = name.replace(mark, word)
    return (
        re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").replace("V", "v").replace("W", "w").replace("U", "u")
    )


def scales(T: int, N: int) -> dict[float, str]:
    """Return factors that people get wrong, and what they are called; of equal ones the likeliest."""
    named = {float(T): "times-t", 1 / T: "divided-by-t", float(N): "times-n", 1 / N: "divided-by-n"}
    both = {float(T * N): "times-tn", 1 / (T * N): "divided-by-tn"}
    wanted = {
        0.5: "divided-by-2",
        **both,
        **named,
        2.0: "times-2",
        -1.0: "negated",
    }  # the later, the likelier
    return {c: slug for c, slug in wanted.items() if c != 1}


def in_words(slug: str) -> str:
    """Return a factor's name as words."""
    words = {"t": "T", "n": "N", "tn": "T N"}
    return " ".join(words.get(word, word) for word in slug.split("-"))
