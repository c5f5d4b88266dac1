"""The names and values that a statement sees, just before it runs."""

import copy
import sys
from dataclasses import dataclass
from typing import Any

from bptt.checking.adjoints.record import Case
from bptt.checking.taps.program import Hooks


@dataclass(eq=False)
class Scope:
    """What a statement sees at one of its executions: copies, so that nothing changes them later."""

    globals: dict[str, Any]
    locals: dict[str, Any]


def scopes(case: Case, statement: int, *, most: int = 12) -> list[Scope]:
    """Return what a statement sees, for each of its executions in order.

    Parameters
    ----------
    case : Case
    statement : int
        Its number in the program's table.
    most : int
        Later executions are left out.
    """
    out: list[Scope] = []

    def pre(j: int) -> None:
        if j == statement and len(out) < most:
            frame = sys._getframe(1)
            memo: dict[int, Any] = {}
            out.append(Scope(frame.f_globals, {n: _copied(v, memo) for n, v in frame.f_locals.items()}))

    case.run(Hooks(pre=pre))
    return out


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # a generator, a lock: nobody's gradient
        return value
