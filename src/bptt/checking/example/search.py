"""Arguments are found for a call: text by text, by how far the code comes with each.

Nothing is known of the function. A wrong argument ends in an error, and the later the error, the better was
the argument. So the holes of a call are filled one by one, those first whose names stand in the expression
that failed; two at once where no single one helps.
"""

import ast
import builtins
import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bptt.checking.example.roles import LAYOUTS, kinds
from bptt.checking.example.texts import Sizes, rendered
from bptt.checking.example.trial import Trial, run
from bptt.checking.file import SubjectError

LEFT_OUT = ""
MOST = 1200
"""Trials of one call."""

_SHORT = re.compile(r"[-\w.']*|\[[\w.]+\]|[A-Z]\w*\(\)")  # an argument that needs no name of its own
_HOLE = re.compile(r"<([^<>]+)>")
_GIVEN_NOTHING = re.compile(r"(?:, )?\b\w+=(?=[,)])")


@dataclass
class Call:
    """Lines of an example with holes: ``h = cell(<x>, h0=<h0>)``.

    Attributes
    ----------
    holes : dict of lists of str
        The texts that each may have: one for each of the layouts, and then others; an empty text leaves the
        argument out.
    """

    lines: list[str] = field(default_factory=list)
    holes: dict[str, list[str]] = field(default_factory=dict)

    def filled(self, chosen: dict[str, str], names: dict[str, str], sizes: Sizes) -> list[str]:
        """Return the lines with chosen texts in the holes, long ones by name."""
        texts, lines, bound = dict(chosen), list[str](), set[str]()
        for line in self.lines:
            used = dict.fromkeys(_HOLE.findall(line))
            made: list[tuple[str, str]] = []
            for hole in used:
                if hole in names and (hole in bound or not _SHORT.fullmatch(rendered(chosen[hole], sizes))):
                    made += [(names[hole], chosen[hole])] * (hole not in bound)
                    bound.add(hole)
                    texts[hole] = names[hole]
            while made:
                width = [len(rendered(text, sizes)) + len(name) + 4 for name, text in made]
                count = max(k for k in range(1, min(3, len(made)) + 1) if k == 1 or sum(width[:k]) < 100)
                part, made = made[:count], made[count:]
                lines.append(f"{', '.join(n for n, _ in part)} = {', '.join(t for _, t in part)}")
            line = _GIVEN_NOTHING.sub("", _HOLE.sub(lambda m: texts[m[1]], line))
            lines.append(line.replace("(, ", "("))
        return lines


@dataclass
class Found:
    """A call whose holes are filled, the lines up to it, and by name what it returned."""

    lines: list[str]
    chosen: dict[str, str]
    trial: Trial
    outputs: dict[str, Any] = field(default_factory=dict)


def fill(
    before: Found,
    call: Call,
    file: dict[str, Any],
    suspects: Callable[[Trial], list[str]],
    deadline: float,
    sizes: Sizes,
    *,
    varied: str = "",
    watched: Callable[[Trial], None] | None = None,
    roots: tuple[str, ...] = (),
) -> Iterator[Found]:
    """Yield ways to fill a call's holes so that it runs, as they are found; at the end those that are odd.

    Parameters
    ----------
    before : Found
        The example so far.
    call : Call
    file : dict
        What the file defines.
    suspects : function
        The names that a trial's error may come from, the likeliest first.
    deadline : float
        In terms of `time.monotonic`.
    sizes : mapping
    varied : str
        The hole of which every text is begun with.
    watched : function, optional
        Scores a trial that ran.
    roots : tuple of str
        Names whose arrays a trial keeps as they are before its last line.
    """
    holes, tried = call.holes, dict[tuple[str, ...], Trial]()
    text = rendered("\n".join(before.lines), sizes)
    taken = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)} | {*file, *dir(builtins)}
    names = {hole: fresh(hole, taken) for hole in holes if hole.isidentifier()}

    def lines_of(chosen: dict[str, str]) -> list[str]:
        return [*before.lines, *call.filled(chosen, names, sizes)]

    def trial_of(chosen: dict[str, str]) -> Trial:
        key = tuple(chosen.values())
        if key not in tried:
            tried[key] = run(rendered("\n".join(lines_of(chosen)), sizes), file, watched, roots)
        return tried[key]

    def over() -> bool:
        return time.monotonic() > deadline or len(tried) > MOST

    def perfect(key: tuple[str, ...]) -> bool:
        one = found[key]  # an object is made as its parameters' names say, if it can be
        made = all(text == holes[hole][0] for hole, text in one.chosen.items() if "." in hole)
        return made and not one.trial.odd and one.trial.score >= 1

    found: dict[tuple[str, ...], Found] = {}
    plain = [{hole: options[k] for hole, options in holes.items()} for k in range(len(LAYOUTS))]
    groups = [_unlike(plain[k : k + 4]) for k in range(0, len(LAYOUTS), 4)]
    more = _unlike(
        {**start, varied: text} for text in holes.get(varied, ())[len(LAYOUTS) :] for start in groups[0]
    )
    for start in _unlike(plain):  # one of the layouts as it is, before any is changed
        trial, key = trial_of(start), tuple(start.values())
        if trial.error is None and not over():
            found[key] = Found(lines_of(start), start, trial)
            if perfect(key):
                yield found[key]
    for n, group in enumerate([*groups, more, groups[0][:2]]):
        if n == len(groups) + 1 and found:
            break  # two holes at once are for where nothing else helps
        begun = [(trial_of(s).rank, -strangeness(s, holes), s) for s in group if not over()]
        for _, _, start in sorted(begun, key=lambda b: b[:2], reverse=True):
            chosen = _climbed(start, holes, trial_of, suspects, over, n == len(groups) + 1)
            trial, key = trial_of(chosen), tuple(chosen.values())
            if trial.error is None and key not in found:
                found[key] = Found(lines_of(chosen), chosen, trial)
                if perfect(key):
                    yield found[key]
    rest = (f for key, f in found.items() if not perfect(key))
    yield from sorted(rest, key=lambda f: (f.trial.odd, -f.trial.score, strangeness(f.chosen, holes)))


def _unlike(starts: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return list({tuple(start.values()): start for start in starts}.values())


def strangeness(chosen: dict[str, str], holes: dict[str, list[str]]) -> float:
    """Return how many arguments are laid out unlike most; one more if only some are of several sequences."""
    away = min(sum(holes[hole][k] != text for hole, text in chosen.items()) for k in range(len(LAYOUTS)))
    late = sum(holes[hole].index(text) for hole, text in chosen.items()) / 1000
    return away + mixed(chosen) + late


def mixed(chosen: dict[str, str]) -> bool:
    """Return whether some data are of several sequences and others are not."""
    data = [
        t
        for hole, t in chosen.items()
        if re.search("H" if "h" in kinds(hole) else r"\b[TN]\b", t) and "«" in t
    ]
    return len({bool(re.search(r"\bN\b", text)) for text in data}) > 1


def _climbed(
    chosen: dict[str, str],
    holes: dict[str, list[str]],
    trial_of: Callable[[dict[str, str]], Trial],
    suspects: Callable[[Trial], list[str]],
    over: Callable[[], bool],
    pairs: bool,
) -> dict[str, str]:
    """Return the holes changed for as long as that takes the run further."""
    best = trial_of(chosen)
    while not isinstance(best.error, SubjectError):  # something is not installed
        if best.error is None and best.odd == 0 and best.score >= 1:
            break
        near = suspects(best)
        order = sorted(
            holes, key=lambda hole: near.index(k) if (k := hole.split(".")[-1]) in near else len(near)
        )
        for changed in _changes(chosen, order, holes, pairs=pairs and best.error is not None):
            if over():
                return chosen
            trial = trial_of(changed)
            if trial.rank > best.rank:
                chosen, best = changed, trial
                break
        else:
            break
    return chosen


def _changes(
    chosen: dict[str, str], order: list[str], holes: dict[str, list[str]], pairs: bool
) -> Iterator[dict[str, str]]:
    for hole in order:
        yield from ({**chosen, hole: text} for text in dict.fromkeys(holes[hole]))
    for one, other in itertools.islice(itertools.combinations(order, 2), 6 * pairs):
        for text, another in itertools.product(dict.fromkeys(holes[one]), dict.fromkeys(holes[other])):
            yield {**chosen, one: text, other: another}


def fresh(name: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it.

    Examples
    --------
    >>> fresh("h", {"h"}), fresh("y", {"h"})
    ('h_', 'y')
    """
    name = name if name.isidentifier() else "out"
    while name in taken:
        name += "_"
    taken.add(name)
    return name
