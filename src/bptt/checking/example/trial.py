"""One example is run in the names that a file defines: how far it comes, and what it makes."""

import __future__

import ast
import contextlib
import copy
import io
import re
import signal
import sys
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checking.example.roles import size_of
from bptt.checking.example.texts import SIZES
from bptt.checking.file import Source, define, definitions, neighbours, overridden, read, stand_ins
from bptt.checking.taps.values import leaves, written

SECONDS = 1.0
STEPS = 30_000
_MATRIX = re.compile(r"d?_?(?:[WUVR]|w[_a-z]|[Pp]aram|grad|mem|Grad)|.*[Ww]eight")


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
        with _limited(trial, files), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
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
    """Return how many arrays within a value are as none should be, save the known ones, by identity."""
    if isinstance(value, np.ndarray):
        if id(value) in known:
            return 0
        large = [n for n in value.shape if n > 1]
        return int(value.dtype == object or (value.dtype.kind == "f" and not np.isfinite(value).all())
                   or len(large) != len(set(large)))  # fmt: skip
    if isinstance(value, dict):
        value = [v for k, v in value.items() if not _MATRIX.match(str(k))]
    return sum(odd(v, known, depth - 1) for v in value) if depth and isinstance(value, (list, tuple)) else 0


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


_LARGE = 12


def namespace(source: Source, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file defines, with other values of its constants; a statement that fails is passed over.

    The entry ``__files__`` has the paths of the neighbours that it imports.
    """
    path, beside = source.path, neighbours(source)
    found: dict[str, Any] = {
        "__file__": str(path),
        "__name__": path.stem,
        "__files__": [],
        "np": np,
        "__package__": beside.package,
    }

    def execute(path: Path, names: dict[str, Any]) -> None:
        found["__files__"].append(str(path))
        _execute(one := read(path), definitions(one), names)

    with stand_ins(source), beside.importable(execute):
        _execute(source, overridden(definitions(source), values), found)
    return found


def _execute(source: Source, statements: list[ast.stmt], names: dict[str, Any]) -> None:
    names["__builtins__"] = source.builtins
    for node in statements:
        flags = __future__.annotations.compiler_flag
        with contextlib.suppress(Exception, SystemExit), contextlib.redirect_stdout(io.StringIO()):
            code = compile(ast.Module([node], []), str(source.path), "exec", flags, dont_inherit=True)
            define(code, names, node)


def small_constants(source: Source) -> dict[str, int]:
    """Return smaller values for the sizes that a file sets at its top level, as ``hidden_size = 100``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "rnn.py")
    ...     _ = file.write_text("hidden_size, rate = 100, 0.1; n_steps = 20")
    ...     small_constants(read(file))
    {'hidden_size': 6, 'n_steps': 4}
    """
    found: dict[str, int] = {}
    for node in source.tree.body:
        match node:
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)):
                pairs = zip(targets, values, strict=False)
            case ast.Assign(targets, value):
                pairs = zip(targets, [value] * len(targets), strict=True)
            case _:
                continue
        for target, number in pairs:
            match target, number:
                case ast.Name(name), ast.Constant(int(n)) if n > _LARGE and size_of(name) in SIZES:
                    found[name] = SIZES[size_of(name)]
    return found
