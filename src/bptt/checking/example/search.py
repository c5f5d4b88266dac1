"""Arguments are found for a call, and it is written with them."""

import ast
import builtins
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bptt.checking.example.learned import Learner
from bptt.checking.example.roles import kinds
from bptt.checking.example.texts import Sizes, rendered
from bptt.checking.example.trial import Trial, run
from bptt.checking.example.unknown import Use, Watch

LEFT_OUT = ""
MOST = 2400  # trials of one call
_SHORT = re.compile(r"[-\w.']*|\[[\w.]+\]|[A-Z]\w*\(\)")  # an argument that needs no name of its own
HOLE = re.compile(r"<([\w.*]+)>")
_GIVEN_NOTHING = re.compile(r"(?:, )?\b\w+=(?=[,)])")


@dataclass
class Call:
    """Lines of an example with holes: ``h = cell(<x>, h0=<h0>)``."""

    lines: list[str] = field(default_factory=list)
    # by name the texts that each may have, the likelier first; an empty text leaves the argument out
    holes: dict[str, list[str]] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)  # that have been found: of these the first text stands

    def copy(self) -> "Call":
        """Return another with the same lines and holes, to which more may be added."""
        return Call([*self.lines], dict(self.holes), self.fixed)

    def hole(self, name: str, texts: Iterable[str]) -> str:
        """Return a hole with the texts that it may have."""
        self.holes[name] = [*dict.fromkeys(texts)]
        return f"<{name}>"

    def filled(self, chosen: dict[str, str], names: dict[str, str], sizes: Sizes) -> list[str]:
        """Return the lines with chosen texts in the holes, long ones by name."""
        texts, lines, bound = dict(chosen), list[str](), set[str]()
        often = Counter(HOLE.findall("\n".join(self.lines)))
        for line in self.lines:
            used = dict.fromkeys(HOLE.findall(line))
            made: list[tuple[str, str]] = []
            for hole in used:
                own = _SHORT.fullmatch(rendered(chosen[hole], sizes)) and (
                    often[hole] == 1 or "(" not in chosen[hole]
                )
                if hole in names and (hole in bound or not own):
                    made += [(names[hole], chosen[hole])] * (hole not in bound)
                    bound.add(hole)
                    texts[hole] = names[hole]
            while made:
                width = [len(rendered(text, sizes)) + len(name) + 4 for name, text in made]
                count = max(k for k in range(1, min(3, len(made)) + 1) if k == 1 or sum(width[:k]) < 100)
                part, made = made[:count], made[count:]
                lines.append(f"{', '.join(n for n, _ in part)} = {', '.join(t for _, t in part)}")
            line = _GIVEN_NOTHING.sub("", HOLE.sub(lambda m: texts[m[1]], line))
            lines.append(line.replace("(, ", "("))
        return lines


@dataclass
class Found:
    """A call whose holes are filled, the lines up to it, and by name what it returned."""

    lines: list[str]
    chosen: dict[str, str]
    trial: Trial
    outputs: dict[str, Any] = field(default_factory=dict)
    steps: bool = False  # of time, each of which is a call
    unlike: bool = False  # no gradient at what it returned fits: any other may be
    unread: frozenset[str] = frozenset()  # holes whose values no line of the code has used


def fill(
    before: Found,
    call: Call,
    file: dict[str, Any],
    deadline: float,
    sizes: Sizes,
    *,
    like: Callable[..., list[str]],
    objects: Callable[[str], list[str]],
    script: Collection[str],
    watched: Callable[[Trial], None] | None = None,
    roots: tuple[str, ...] = (),
    noted: Callable[[str, Trial], None],
) -> Iterator[Found]:
    """Yield ways to fill a call's holes so that it runs, as they are found; at the end those that are odd.

    `like` says what a name makes likely, `objects` what has an attribute; names of the `script` may be
    set before the call; `watched` scores a trial that ran, `noted` is told each with its lines,
    and of `roots` a trial keeps the arrays as they are before its last line. The `deadline` is in terms of
    `time.monotonic`.
    """
    holes, tried, uses = call.holes, dict[tuple[str, ...], Trial](), dict[tuple[str, ...], Use | None]()
    text = rendered("\n".join(before.lines), sizes)
    taken = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)} | {*file, *dir(builtins)}
    bare = {hole: hole.split(".")[-1] for hole in holes}
    names = {hole: fresh(name, taken) for hole, name in bare.items() if name.isidentifier()}

    def lines_of(chosen: dict[str, str]) -> list[str]:
        more = [
            f"{name} = {text}" for name, text in chosen.items() if name not in holes
        ]  # read, and set by nothing
        return [*more, *before.lines, *call.filled(chosen, names, sizes)]

    def trial_of(chosen: dict[str, str]) -> Trial:
        key = tuple(chosen.values())
        if key not in tried:
            text = rendered("\n".join(lines_of(chosen)), sizes)
            tried[key] = run(text, file, watched, roots)
            noted(text, tried[key])
        return tried[key]

    def over() -> bool:
        return time.monotonic() > deadline or len(tried) > MOST

    def trial_with(watch: Watch, texts: dict[str, str]) -> Trial:
        key, file["_watch"] = tuple(texts.values()), watch
        try:
            trial = trial_of(texts)
            watch.use = uses.setdefault(key, watch.use)  # of one that was tried before, what it was then
            return trial
        finally:
            del file["_watch"]

    likely = {hole: o[:1] if hole in call.fixed else o for hole, o in holes.items()}
    keys = {repr(k): None for v in file.values() if isinstance(v, dict) for k in v if isinstance(k, str)}
    keys = {k: None for k in keys if "'__" not in k}
    lines = "\n".join(before.lines)
    learner = Learner(trial_with, likely, sizes, over, like, objects, script, [*keys][:12], lines)
    odd: list[Found] = []
    for chosen in learner.found():
        one = Found(lines_of(chosen), chosen, trial_of(chosen), unread=frozenset(learner.unread))
        if not one.trial.odd and one.trial.score >= 1:
            yield one
        else:
            odd.append(one)
    yield from sorted(odd, key=lambda f: (f.trial.odd, -f.trial.score))


def mixed(chosen: dict[str, str]) -> bool:
    """Return whether some data are of several sequences and others are not."""
    marks = {hole: text for hole, text in chosen.items() if "«" in text and "«size" not in text}
    data = [t for hole, t in marks.items() if re.search("H" if "h" in kinds(hole) else r"\b[TN]\b", t)]
    return len({bool(re.search(r"\bN\b", text)) for text in data}) > 1


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
