"""One example is run: how far it comes, and what it makes."""

import contextlib
import copy
import io
import itertools
import re
import signal
import sys
import types
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SECONDS = 1.0
STEPS = 30_000
_MATRIX = re.compile(r"d?_?(?:[WUVR]|w[_a-z]|[Pp]aram|grad|mem|Grad)|.*[Ww]eight")


class _TooLongError(BaseException):
    """No handler of the code that runs must catch it."""


@dataclass
class Trial:
    """What came of a run.

    Attributes
    ----------
    names : dict
        The names that the example bound, and the file's.
    lines : int
        How many lines of functions were executed: the further a run comes, the better are its arguments.
    done : int
        How many of the example's lines were, less how many it has.
    error : BaseException, optional
    odd : int
        Arrays with the same size on two axes, as a wrong broadcast makes them, and those not finite.
    score : float
        Which part of the parameters has a gradient of its shape.
    failed : tuple of int, optional
        The expression of the file that failed: its lines, from and to, and its columns.
    place : int
        How far on its line that is.
    """

    names: dict[str, Any] = field(default_factory=dict)
    lines: int = 0
    done: int = 0
    error: BaseException | None = None
    odd: int = 0
    score: float = 0.0
    failed: tuple[int, int, int, int] | None = None
    place: int = 0

    @property
    def ran(self) -> bool:
        """Whether it ended without an error."""
        return self.error is None

    @property
    def rank(self) -> tuple[float, ...]:
        """The greater, the better."""
        if self.ran:
            return self.done, self.score - self.odd, self.lines
        return self.done, self.lines - 4 * self.odd, self.place


def run(text: str, names: dict[str, Any], watched: Callable[[Trial], None] | None = None) -> Trial:
    """Execute an example in a file's names, which are as before afterwards.

    Parameters
    ----------
    text : str
    names : dict
        What the file defines: the very dict that its functions read, so that they see what the example binds.
    watched : function, optional
        Is called with the trial, before the file's arrays are put back.
    """
    count, before = text.count("\n") + 1, dict(names)
    trial = Trial(done=-count - 1)
    kept = {n: copy.deepcopy(value) for n, value in names.items() if n[:2] != "__" and _is_data(value)}
    file = str(names.get("__file__", "<file>"))
    files = {file, *names.get("__files__", ())}
    np.random.seed(0)  # noqa: NPY002 - examples draw from it
    try:
        code = compile(text, "<example>", "exec")
        with _limited(trial, files), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
            exec(code, names)
        trial.done = 0
    except (Exception, SystemExit, _TooLongError) as error:
        trial.error = error
        _look(trial, error.__traceback__, count, file, files)
    trial.names = dict(names)
    names.clear()
    names.update(before)
    if watched is not None and trial.ran:
        watched(trial)
    names.update(kept)
    return trial


def odd(value: Any, known: Collection[int] = (), depth: int = 2) -> int:
    """Return how many arrays within a value are as none should be, save the known ones, by identity."""
    if isinstance(value, np.ndarray):
        if id(value) in known:
            return 0
        if value.dtype == object or (value.dtype.kind == "f" and not np.isfinite(value).all()):
            return 1
        large = [n for n in value.shape if n > 1]
        return int(len(large) != len(set(large)))
    inside: list[Any] = []
    if depth and isinstance(value, dict):
        inside = [v for k, v in value.items() if not _MATRIX.match(str(k))]
    elif depth and isinstance(value, (list, tuple)):
        inside = list(value)
    return sum(odd(v, known, depth - 1) for v in inside)


def arrays(
    value: Any, path: str = "", depth: int = 4, seen: set[int] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield the arrays of floats that are reachable from a value, with how to write each.

    Examples
    --------
    >>> [path for path, _ in arrays({"W": np.ones((2, 3)), "more": [np.ones(2)]}, "p")]
    ["p['W']", "p['more'][0]"]
    """
    seen = set() if seen is None else seen
    if type(value).__module__ == "torch":
        yield path, value.detach().numpy()
    elif isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and value.ndim:
            yield path, value
    elif depth and id(value) not in seen:
        seen.add(id(value))
        entries: dict[str, Any] = {}
        if isinstance(value, dict):
            entries = {f"[{key!r}]": entry for key, entry in value.items()}
        elif isinstance(value, (list, tuple)):
            entries = {f"[{k}]": entry for k, entry in enumerate(value)}
        elif not isinstance(value, (type, types.FunctionType, types.ModuleType)):
            entries = {f".{key}": entry for key, entry in getattr(value, "__dict__", {}).items()}
        for where, entry in entries.items():
            yield from arrays(entry, path + where, depth - 1, seen)


def _is_data(value: Any) -> bool:
    return isinstance(value, (np.ndarray, dict, list, int, float)) and not isinstance(value, bool)


def _look(
    trial: Trial, trace: types.TracebackType | None, count: int, file: str, files: Collection[str]
) -> None:
    """Note where it failed, and what the functions that were running had in hand."""
    while trace is not None:
        frame, code = trace.tb_frame, trace.tb_frame.f_code
        if code.co_filename == "<example>":
            trial.done = trace.tb_lineno - 1 - count
        elif code.co_filename in files:
            trial.place, trial.failed = trace.tb_lasti, None
            if code.co_filename == file:
                positions = itertools.islice(code.co_positions(), trace.tb_lasti // 2, None)
                trial.failed = next(positions)  # type: ignore[assignment]
            given = code.co_varnames[: code.co_argcount]
            known = {id(array) for name in given for _, array in arrays(frame.f_locals[name])}
            known |= {id(value) for value in frame.f_globals.values()}
            made = [v for name, v in frame.f_locals.items() if name not in given and not _MATRIX.match(name)]
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

    def call(frame: types.FrameType, event: str, _: Any) -> Any:
        return line if frame.f_code.co_filename in files else None

    def alarm(*_: Any) -> None:
        raise _TooLongError

    before, handler = sys.gettrace(), signal.signal(signal.SIGVTALRM, alarm)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(before)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, handler)
