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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bptt.checking.example.roles import LAYOUTS, Sizes, kinds, marked, rendered, written
from bptt.checking.example.trial import Trial, run
from bptt.checking.file import SubjectError

LEFT_OUT = ""
_SHORT = re.compile(r"[-\w.']*|\[[\w.]+\]|[A-Z]\w*\(\)")  # an argument that needs no name of its own
_HOLE = re.compile(r"<([^<>]+)>")
_GIVEN_NOTHING = re.compile(r"(?:, )?\b\w+=(?=[,)])")


@dataclass
class Call:
    """Lines of an example with holes.

    Attributes
    ----------
    lines : list of str
        As ``h = cell(<x>, h0=<h0>)``, where ``<x>`` is the hole x.
    holes : dict of lists of str
        The texts that each may have, the likeliest first; an empty text leaves the argument out.
    """

    lines: list[str] = field(default_factory=list)
    holes: dict[str, list[str]] = field(default_factory=dict)

    def filled(self, chosen: dict[str, str], names: dict[str, str], sizes: Sizes) -> list[str]:
        """Return the lines with chosen texts in the holes, long ones by name; sizes are marked in them."""
        texts: dict[str, str] = {}
        bound: list[tuple[str, str, int]] = []
        for hole, text in chosen.items():
            plain, texts[hole] = written(text, sizes), marked(text) if text else LEFT_OUT
            if hole in names and not _SHORT.fullmatch(plain):
                bound.append((names[hole], texts[hole], len(plain)))
                texts[hole] = names[hole]
        lines = [_GIVEN_NOTHING.sub("", _HOLE.sub(lambda m: texts[m[1]], line)) for line in self.lines]
        return [*_bound(bound), *(line.replace("(, ", "(") for line in lines)]


def _bound(made: Sequence[tuple[str, str, int]]) -> list[str]:
    """Return assignments, some in one line; of each is given the name, the text, and the text's length."""
    groups: list[list[tuple[str, str, int]]] = []
    for pair in made:
        near = [*(groups[-1] if groups else ()), pair]
        if groups and len(near) <= 3 and sum(len(n) + size + 4 for n, _, size in near) <= 100:
            groups[-1].append(pair)
        else:
            groups.append([pair])
    return [f"{', '.join(n for n, _, _ in group)} = {', '.join(t for _, t, _ in group)}" for group in groups]


@dataclass
class Found:
    """A call whose holes are filled, the lines up to it, and by name what it returned."""

    lines: list[str]
    chosen: dict[str, str]
    trial: Trial
    outputs: dict[str, Any] = field(default_factory=dict)


def fill(
    before: list[str],
    call: Call,
    file: dict[str, Any],
    suspects: Callable[[Trial], list[str]],
    deadline: float,
    sizes: Sizes,
    layouts: int = 1,
    varied: str = "",
    watched: Callable[[Trial], None] | None = None,
    after: Sequence[str] = (),
    enough: int = 6,
) -> list[Found]:
    """Return the ways that were found to fill a call's holes so that it runs, the best first.

    Parameters
    ----------
    before : list of str
        The example's lines so far.
    call : Call
    file : dict
        What the file defines.
    suspects : function
        The names that a trial's error may come from, the likeliest first.
    deadline : float
        In terms of `time.process_time`.
    sizes : mapping
    layouts : int
        With how many of the layouts to start.
    varied : str
        The hole of which every option is started with.
    watched : function, optional
        Scores a trial that ran.
    after : sequence of str
        Lines that must run, too.
    enough : int
        How many ways are enough.
    """
    holes = call.holes
    text = rendered("\n".join(before), sizes)
    taken = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)} | {*file, *dir(builtins)}
    names = {hole: fresh(hole, taken) for hole in holes if hole.isidentifier()}
    tried: dict[tuple[str, ...], Trial] = {}

    def trial_of(chosen: dict[str, str]) -> Trial:
        key = tuple(chosen.values())
        if key not in tried:
            lines = [*before, *call.filled(chosen, names, sizes), *after]
            tried[key] = run(rendered("\n".join(lines), sizes), file, watched)
        return tried[key]

    def order(chosen: dict[str, str]) -> tuple[Any, ...]:
        return trial_of(chosen).rank, -_strangeness(chosen, holes)

    plain = _unlike({hole: options[k] for hole, options in holes.items()} for k in range(layouts))
    more = [{**start, varied: text} for text in holes.get(varied, ())[len(LAYOUTS) :] for start in plain]
    begun = sorted(_unlike([*plain, *more]), key=order, reverse=True)
    if len(plain) > 1:  # each of the layouts may be the one, though another comes as far by accident
        begun = _unlike([*begun[:enough], *plain, *begun[: 4 * enough]])
    found: dict[tuple[str, ...], Found] = {}
    for pairs in (False, True):
        for start in begun[: enough if pairs else None]:
            chosen = _climbed(start, holes, trial_of, suspects, deadline, pairs)
            if trial_of(chosen).ran:
                lines = [*before, *call.filled(chosen, names, sizes)]
                found.setdefault(tuple(chosen.values()), Found(lines, chosen, trial_of(chosen)))
            if len(found) >= enough or time.process_time() > deadline:
                break
        if found:
            break
    return sorted(found.values(), key=lambda f: (f.trial.odd, -f.trial.score, _strangeness(f.chosen, holes)))


def _unlike(starts: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return list({tuple(start.values()): start for start in starts}.values())


def _strangeness(chosen: dict[str, str], holes: dict[str, list[str]]) -> float:
    """Return how many arguments are laid out unlike most; one more if only some are of several sequences."""
    away = min(sum(holes[hole][k] != text for hole, text in chosen.items()) for k in range(len(LAYOUTS)))
    sized = {hole: r"H" if {"h", "c"} & set(kinds(hole)) else r"\b[TN]\b" for hole in chosen}
    data = [
        t for hole, t in chosen.items() if re.search(sized[hole], t) and t[0] != "=" and "tokens N" not in t
    ]
    many = {bool(re.search(r"\bN\b", text)) for text in data}
    late = sum(holes[hole].index(text) for hole, text in chosen.items()) / 1000
    return away + (len(many) > 1) + 0.5 * (True not in many) + late


def _climbed(
    chosen: dict[str, str],
    holes: dict[str, list[str]],
    trial_of: Callable[[dict[str, str]], Trial],
    suspects: Callable[[Trial], list[str]],
    deadline: float,
    pairs: bool,
) -> dict[str, str]:
    """Return the holes changed for as long as that takes the run further."""
    best = trial_of(chosen)
    while time.process_time() < deadline and not isinstance(best.error, SubjectError):  # is not installed
        if best.ran and best.odd == 0 and best.score >= 1:
            break
        near = suspects(best)
        order = sorted(holes, key=lambda hole: near.index(hole) if hole in near else len(near))
        for changed in _changes(chosen, order, holes, pairs=pairs and not best.ran):
            trial = trial_of(changed)
            if trial.rank > best.rank:
                chosen, best = changed, trial
                break
            if time.process_time() > deadline:
                return chosen
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
