"""One example is run: how far it comes, and what it makes."""

import ast
import contextlib
import copy
import io
import signal
import sys
import types
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

from bptt.checking.example.roles import kinds, without_d
from bptt.checking.taps.values import leaves, written

SECONDS = 1.0
_GENERATOR = np.random.default_rng
STEPS = 30_000


class _TooLongError(BaseException):
    """No handler of the code that runs must catch it."""


@dataclass
class Trial:
    """What came of a run."""

    names: dict[str, Any] = field(default_factory=dict)  # the example's and the file's
    start: dict[str, Any] = field(default_factory=dict)  # arrays as they were before the last line
    lines: int = 0  # how many of functions were executed: the further it comes, the better are its arguments
    done: int = 0  # how many of the example's lines were executed, less how many it has
    error: BaseException | None = None
    odd: int = 0  # arrays with one size on two axes, as a wrong broadcast makes them, and those not finite
    score: float = 1.0  # which part of the parameters has a gradient of its shape

    @property
    def rank(self) -> tuple[float, ...]:
        """The greater, the better."""
        if self.error is None:
            return self.done, self.score - self.odd
        return self.done, self.lines - 4 * self.odd


def run(
    text: str,
    names: dict[str, Any],
    watched: Callable[[Trial], None] | None = None,
    roots: tuple[str, ...] = (),
) -> Trial:
    """Execute an example in a file's names, which are as before afterwards.

    `names` is the dict that the file's functions read: they see what the example binds. `watched` is called
    before the file's arrays are put back; of `roots` the arrays are kept as they are before the last line.
    """
    count, before = text.count("\n") + 1, dict(names)
    trial = Trial(done=-count - 1)
    data = (np.ndarray, dict, list, int, float)
    kept = {n: copy.deepcopy(v) for n, v in names.items() if n[:2] != "__" and isinstance(v, data)}
    file = str(names.get("__file__", "<file>"))
    files = {file, *names.get("__files__", ())}
    np.random.seed(0)  # noqa: NPY002 - examples draw from it
    try:
        *lines, last = ast.parse(text).body or [ast.Pass()]
        codes = [compile(ast.Module(part, []), "<example>", "exec") for part in (lines, [last])]
        seeded = mock.patch.object(np.random, "default_rng", lambda seed=0: _GENERATOR(seed or 0))
        with (
            _limited(trial, files),
            np.errstate(all="ignore"),
            contextlib.redirect_stdout(io.StringIO()),
            seeded,
        ):
            exec(codes[0], names)
            trial.start = {p: a.copy() for n in roots for p, a in arrays(names.get(n), n)}
            exec(codes[1], names)
        trial.done = 0
    except (Exception, SystemExit, _TooLongError) as error:
        trial.error = error
        _look(trial, error.__traceback__, count, files)
    trial.names = dict(names)
    names.clear()
    names.update(before)
    if watched is not None and trial.error is None:
        watched(trial)
    names.update(kept)
    return trial


def odd(value: Any, known: Collection[int] = (), depth: int = 2) -> int:
    """Return how many arrays within a value are as none should be, save the known ones, by identity.

    Where arrays of several shapes are together, they are of weights.
    """
    if isinstance(value, np.ndarray):
        large = [n for n in value.shape if n > 1]
        finite = value.dtype.kind != "f" or np.isfinite(value).all()
        is_odd = value.dtype == object or not finite or len(large) != len(set(large))
        return int(is_odd and id(value) not in known)
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    if not depth or len({v.shape for v in entries if isinstance(v, np.ndarray)}) > 2:
        return 0
    return sum(odd(v, known, depth - 1) for v in entries)


def _of_weight(name: str) -> bool:
    return any(kind[0] == "W" for kind in kinds(without_d(name))[:1])


def arrays(value: Any, name: str = "it") -> Iterator[tuple[str, Any]]:
    """Yield the arrays of floats that are reachable from a value, with how to write each.

    Examples
    --------
    >>> [path for path, _ in arrays({"W": np.ones((2, 3)), "more": [np.ones(2)]}, "p")]
    ["p['W']", "p['more'][0]"]
    """
    for path, one in leaves(value, (("item", name),)):
        array = one.detach().numpy() if hasattr(one, "detach") else one
        if isinstance(array, np.ndarray) and array.ndim:
            yield written(path), array


def _look(trial: Trial, trace: types.TracebackType | None, count: int, files: Collection[str]) -> None:
    """Note where it failed, and what the functions that were running had in hand."""
    while trace is not None:
        frame, code = trace.tb_frame, trace.tb_frame.f_code
        if code.co_filename == "<example>":
            trial.done = trace.tb_lineno - 1 - count
        elif code.co_filename in files:
            given = code.co_varnames[: code.co_argcount]
            known = {id(a) for name in given for _, a in arrays(frame.f_locals.get(name))}
            known |= {id(value) for value in frame.f_globals.values()}
            made = [v for name, v in frame.f_locals.items() if name not in given and not _of_weight(name)]
            trial.odd += sum(odd(value, known, 1) for value in made)
        trace = trace.tb_next


@contextlib.contextmanager
def _limited(trial: Trial, files: Collection[str]) -> Iterator[None]:
    """Count the lines that the file's functions execute, and stop what runs too long."""

    def line(frame: types.FrameType, event: str, _: Any) -> Any:
        trial.lines += event == "line"
        if trial.lines > STEPS:
            raise _TooLongError
        return line

    def alarm(*_: Any) -> None:
        raise _TooLongError

    before, handler = sys.gettrace(), signal.signal(signal.SIGVTALRM, alarm)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    sys.settrace(lambda frame, event, _: line if frame.f_code.co_filename in files else None)
    try:
        yield
    finally:
        sys.settrace(before)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, handler)
