"""The faults that people make, put into the code that `people` generates, by the text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from judged.people import source
from judged.people_lines import Style


@dataclass(frozen=True)
class Mutation:
    """A fault that somebody made: lines of a backward changed, and what the checker should say of it.

    ``number`` is its kind in the list of faults met in public code, ``names`` a pattern in the fault's id.
    """

    number: int
    cell: str
    pattern: str
    instead: str
    names: str


MUTATIONS = (
    Mutation(1, "", r"^(\s+)dh_next = dh_prev$", r"\1pass", r"dh-next-zero|dh-prev-zero|dh-without-dh-next"),
    Mutation(
        2, "lstm", r"^(\s+)dc_next = dc_prev$", r"\1pass", r"dc-next-zero|dc-prev-zero|dc-without-dc-next"
    ),
    Mutation(
        3, "", r"dh_prev = .*", "dh_prev = np.zeros_like(dh)", r"dh-prev-zero|dh-next-zero|dh-without-dh-next"
    ),
    Mutation(
        4, "lstm", r"dc = dc \+ dh \* o", "dc = dh * o", r"dc-without-dc-next|dc-prev-zero|dc-next-zero"
    ),
    Mutation(5, "lstm", r"dc = dc \+ (.*)", r"dc = dc * (\1)", r"dc-(product|extra|zero)"),
    Mutation(5, "lstm", r"di = dc \* g$", "di = dc * i", r"di-i-for-g|d[ig]"),
    Mutation(7, "lstm", r"daf = df \* f \* \(1 - f\)", "daf = df * f", r"da-f-"),
    Mutation(7, "lstm", r"dao = do \* o \* \(1 - o\)", "dao = do * sigmoid(o) * (1 - sigmoid(o))", r"da-o-"),
    Mutation(8, "lstm", r"\(1 - tc \*\* 2\)", "(1 + tc ** 2)", r"dc-"),
    Mutation(8, "lstm", r"\(1 - tc \*\* 2\)", "(1 - np.tanh(tc) ** 2)", r"dc-"),
    Mutation(8, "lstm", r"\(1 - g \*\* 2\)", "(1 - np.tanh(g) ** 2)", r"da-g-"),
    Mutation(8, "rnn", r"\(1 - h \*\* 2\)", "(1 + h ** 2)", r"da-"),
    Mutation(8, "rnn", r"\(1 - h \*\* 2\)", "1 / (1 - h ** 2)", r"da-"),
    Mutation(8, "gru", r"\(1 - n \*\* 2\)", "(1 - np.tanh(n) ** 2)", r"da-n-"),
    Mutation(8, "rnn", r"\(1 - h \*\* 2\)", "(1 - h)", r"da-"),
    Mutation(8, "rnn", r"da = dh \* \(1 - h \*\* 2\)", "da = dh", r"da-without-derivative"),
    Mutation(11, "rnn", r"dh_prev = da @ Wh\.T$", "dh_prev = da @ Wh", r"dh-prev-.*untransposed"),
    Mutation(11, "rnn", r"dh_prev = Wh\.T @ da$", "dh_prev = Wh @ da", r"dh-prev-.*untransposed"),
    Mutation(12, "rnn", r"(dWh \+?= .*)h_prev", r"\1h", r"du-h-for-h-prev|dU"),
    Mutation(14, "", r"(db(?:x)?)f (\+?=) daf", r"\1f \2 dai", r"db-f|biases"),
    Mutation(14, "gru", r"(dbx?)r (\+?=) dar", r"\1r \2 daz", r"db-r|biases"),
    Mutation(16, "lstm", r"dc = dc \+ (.*)", r"dc = dc + \1; dc += dc", r"dc-times-2"),
    Mutation(
        6,
        "lstm",
        r"dc = dc \+ dh",
        "dc = 0 * dc + dh",
        r"dc-without-dc-next|dc-last-zero|dc-prev-zero|dc-next-zero",
    ),
    Mutation(
        18,
        "",
        r"dh = dhs\[(.*)\] \+ dh_next",
        r"dh = dhs[\1]",
        r"dh-next-zero|dh-without-dh-next|dh-prev-zero",
    ),
    Mutation(21, "rnn", r"for t in reversed\(range\((T|len\(inputs\))\)\)", r"for t in range(\1)", r"."),
    Mutation(29, "", r"(dW\w*) \+= ", r"\1 = ", r"first-only"),
    Mutation(30, "lstm", r"dc_prev = dc \* f$", "dc_prev = dc", r"dc-prev-without-f"),
    Mutation(30, "lstm", r"dc_prev = dc \* f$", "dc_prev = dc * i", r"dc-prev-i-for-f"),
    Mutation(31, "", r"(dx = .*)Wxi", r"\1Wxf", r"dx-w-f-for-w-i|dx"),
    Mutation(31, "gru", r"(dx = .*)Wxr", r"\1Wxz", r"dx-w-z-for-w-r|dx"),
    Mutation(34, "", r"dy = p - target", "dy = (p - target) * p * (1 - p)", r"dlogits"),
    Mutation(
        35, "", r"dh = (dy @ \S+|\S+ @ dy) \+ dh_next", r"dh = \1", r"local|dh-next-zero|dh-without-dh-next"
    ),
    Mutation(0, "lstm", r"do = dh \* tc", "do = dh * c_prev", r"do-"),
    Mutation(0, "lstm", r"df = dc \* c_prev", "df = dc * (f * c_prev + i * g)", r"df-c-for-c-prev"),
    Mutation(0, "lstm", r"dg = dc \* i$", "dg = dc * f", r"dg-f-for-i"),
    Mutation(0, "gru", r"dz = dh \* \((.*) - (.*)\)", r"dz = dh * (\2 - \1)", r"dz-negated"),
    Mutation(0, "gru", r"dn = dh \* \(1 - z\)", "dn = dh * z", r"dn-"),
    Mutation(0, "gru", r"dn = dh \* z$", "dn = dh * (1 - z)", r"dn-"),
    Mutation(0, "gru", r"dh_prev = dh \* (?:z|\(1 - z\)) \+ ", "dh_prev = ", r"dh-prev-without"),
    Mutation(0, "gru", r" \+ dq \* r", " + dq", r"dh-prev-"),
    Mutation(0, "gru", r"dr = dan \* m", "dr = dan * h_prev", r"dr-"),
    Mutation(0, "gru", r"dr = dq \* h_prev", "dr = dan * h_prev", r"dr-"),
    Mutation(0, "gru", r"dm = dan \* r", "dm = dan", r"da-m-"),
    Mutation(0, "", r"(db\w*) \+= (.*)", r"\1 += \2 / 2", r"/d(b|k)|biases"),
)


def mutants(style: Style) -> Iterator[tuple[Mutation, str]]:
    """Yield the faults that a style's text can have, with the text that has it."""
    text = source(style)
    for mutation in MUTATIONS:
        if mutation.cell not in ("", style.cell) or (
            mutation.number == 31 and style.form in ("chunk", "model")
        ):
            continue  # these two return no gradient at x
        changed = mutated(text, mutation)
        if changed != text:
            yield mutation, changed


def pairs(style: Style, rng: np.random.Generator) -> tuple[str, Mutation, Mutation] | None:
    """Return a style's text with two faults at random, and these; None where it cannot have two."""
    able = [mutation for mutation, _ in mutants(style)]
    if len(able) < 2:
        return None
    first, second = (able[k] for k in rng.permutation(len(able))[:2])
    once = mutated(source(style), first)
    twice = mutated(once, second)
    return None if twice == once else (twice, first, second)


def mutated(text: str, mutation: Mutation) -> str:
    """Return the text with the fault: in its backward, and once."""
    begins = max(text.rfind("backward("), text.rfind("dh_next = np.zeros_like(h)"))
    changed = re.sub(mutation.pattern, mutation.instead, text[begins:], count=1, flags=re.MULTILINE)
    return text[:begins] + changed
