"""How good an example of a backward is: which part of the parameters it gives a gradient."""

from collections import Counter
from collections.abc import Callable, Container

import numpy as np

from bptt.checking.example.roles import is_cotangent, kinds
from bptt.checking.example.trial import Trial, arrays
from bptt.checking.example.wording import last_name


def scorer(
    roots: tuple[str, ...],
    file: Container[str],
    first: Container[str],
    through_time: bool,
    results: Container[str] = ("grads",),
) -> Callable[[Trial], None]:
    """Return what scores a trial by how many parameters have a gradient of their shape, or moved.

    The names `results` are those that the last line sets.
    """

    def is_weight(path: str) -> bool:
        kind = "" if is_cotangent(last_name(path)) else (kinds(last_name(path)) or ("",))[0]
        of_file = path in first or path.split("[")[0] in file
        return of_file or kind[:1] in ("W", "b") or kind == "params"

    def watched(trial: Trial) -> None:
        made = {n: v for n, v in trial.names.items() if n not in roots and n not in file}
        held = {p: a for n in roots for p, a in arrays(trial.names.get(n), n)}
        before = {p: a for p, a in trial.start.items() if p in held and not is_cotangent(last_name(p))}
        before = {p: a for p, a in before.items() if is_weight(p)}
        moved = [p for p, a in before.items() if not np.array_equal(held[p], a)]
        wanted = [a.shape for p, a in before.items() if p not in moved]
        given = {n: v for n, v in made.items() if n not in results and is_weight(n)}
        wanted += [a.shape for v in given.values() for _, a in arrays(v)]
        new = {p: a for p, a in held.items() if "grad" in p or p not in trial.start}
        every = held | {p: a for n, v in made.items() for p, a in arrays(v, n)}
        got = new | {p: a for p, a in every.items() if is_cotangent(last_name(p))}
        got |= {p: a for n, v in made.items() if n in results for p, a in arrays(v, n)}
        hits = (Counter(wanted) & Counter(a.shape for a in got.values())).total()
        several = len(wanted) + len(moved)
        trial.score = (hits + len(moved)) / several if several else 0.5 * bool(got) * through_time

    return watched
