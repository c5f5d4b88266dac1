"""Somebody else's code, held in bounds: in time, silent, its failures in one line.

`guard` stands around it, `guarded` calls one function of it.
"""

import ctypes
import dis
import io
import signal
import sys
import sysconfig
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checking.subject import SubjectError
from bptt.errors import ConfigError

SECONDS = 30.0
"""How long code may run where nobody says otherwise."""

KEPT = 1 << 16
"""Bytes of output that are kept; the rest is dropped."""

AGAIN = 0.05
"""Seconds from one attempt to stop the code to the next, for code that catches everything."""

LIBRARY = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {str(Path(__file__).parents[1]), "<frozen", "<string>", "<__"}
)
"""How the file names of code begin that is nobody's under judgement."""

ours = {__file__}
"""Files of the machinery; each module through which somebody's code is read or called adds its own."""

places: dict[str, Callable[[int], str]] = {}
"""How a person finds a line of a file that was read, by the file name in its code objects."""


class _TimeUp(BaseException):
    """Raised inside the code that ran too long; no Exception, so that ``except Exception`` lets it pass.

    Code that catches everything comes to one more line of its own: there the tracer raises it once more.
    """

    def __init__(self) -> None:
        frames: list[types.FrameType] = []
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None and (frame.f_code.co_filename not in ours or not frames):
            if _is_users(frame.f_code.co_filename):
                frames.append(frame)
            frame = frame.f_back
        if frame is not None:  # None: no `guarded` in between, and the frames may be those of our callers
            for one in frames:
                one.f_trace = _insist
            sys.settrace(lambda *_: None)


def _insist(_frame: types.FrameType, event: str, _value: Any) -> Any:
    if event == "line":
        raise _TimeUp
    return _insist


class _Here(threading.local):
    seconds: float | None = None  # of the innermost guard; None: there is none
    deadline = float("inf")


_here = _Here()


class _Sink(io.RawIOBase):
    """Keeps the first `KEPT` bytes."""

    def __init__(self) -> None:
        self.kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.kept += bytes(data[: KEPT - len(self.kept)])
        return len(data)


@contextmanager
def guard(seconds: float = SECONDS) -> Iterator[bytearray]:
    """Hold the code inside in bounds: in time, silent, without input and without warnings.

    Meant to stand once around many calls of `guarded`, which then cost next to nothing. The bounds are
    Python's: a single call into compiled code is not interrupted before it returns, and threads or processes
    that the code starts are not stopped. ``sys.stdout`` and ``sys.stderr`` are caught for the whole process
    as long as the guard stands. Guards may stand in one another; the shorter time holds.

    Parameters
    ----------
    seconds : float
        The time limit, above 0.

    Yields
    ------
    bytearray
        What was printed, UTF-8, up to `KEPT` bytes.

    Raises
    ------
    SubjectError
        When the time is up.
    ConfigError
        If `seconds` is no time.

    Examples
    --------
    >>> with guard(5.0) as printed:
    ...     print("not seen")
    >>> printed.decode().strip()
    'not seen'
    """
    if not 0 < seconds < 1e6:
        raise ConfigError(f"guard: seconds must be above 0 (and below 1e6), got {seconds!r}")
    before, tracer = (_here.seconds, _here.deadline), sys.gettrace()
    sink = _Sink()
    try:
        with nullcontext() if before[0] is not None else _quiet(sink):
            end = time.monotonic() + seconds
            _here.seconds = seconds if end < before[1] else before[0]  # the one that holds, for the message
            _here.deadline = min(end, before[1])
            try:
                with _limit(max(_here.deadline - time.monotonic(), 1e-3)):
                    yield sink.kept
            finally:
                _here.seconds, _here.deadline = before
                if sys.gettrace() is not tracer:
                    sys.settrace(tracer)
    except _TimeUp:
        raise SubjectError(f"not finished within {seconds:g} s") from None


@contextmanager
def _quiet(sink: _Sink) -> Iterator[None]:
    saved = sys.stdin, sys.stdout, sys.stderr
    stream = io.TextIOWrapper(sink, "utf-8", "replace", write_through=True)  # type: ignore[type-var]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        sys.stdin, sys.stdout, sys.stderr = io.StringIO(), stream, stream
        try:
            yield
        finally:
            sys.stdin, sys.stdout, sys.stderr = saved


def _limit(seconds: float) -> Any:
    on_main = threading.current_thread() is threading.main_thread()
    return _alarm(seconds) if hasattr(signal, "setitimer") and on_main else _watchdog(seconds)


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _TimeUp on this, the main thread, by the system's timer: it wakes what sleeps or waits too."""

    def ring(_number: int, frame: types.FrameType | None) -> None:
        if not _on_the_way_out(frame):
            raise _TimeUp

    started = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if handler is None else handler)
        if left:  # somebody else's timer goes on, an outer guard's or a test runner's
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 1e-3), interval)


@contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    """Raise _TimeUp on this thread from another one, where there is no timer or this is not the main one."""
    raise_on = ctypes.pythonapi.PyThreadState_SetAsyncExc
    ident = threading.get_ident()
    thread = ctypes.c_ulong(ident)
    over: list[bool] = []
    finished, raising = threading.Lock(), threading.Lock()
    finished.acquire()

    def watch() -> None:
        wait = seconds
        while not finished.acquire(timeout=wait):
            with raising:
                if over:
                    return
                if not _on_the_way_out(sys._current_frames().get(ident)):
                    raise_on(thread, ctypes.py_object(_TimeUp))
            wait = AGAIN

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        try:
            over.append(True)
            with raising:  # whoever was about to raise has done so,
                pass
            for _ in range(2):  # and it arrives here (taking it back would leave CPython 3.11 unsettled)
                pass
        except _TimeUp:
            pass
        finished.release()


def _on_the_way_out(frame: types.FrameType | None) -> bool:
    """Whether a thread is in our own code, or in an import, whose locks would stay locked."""
    name = frame.f_code.co_filename if frame else __file__
    return name in ours or name in _BORROWED or name.startswith("<frozen")


_BORROWED = {contextmanager.__code__.co_filename, warnings.__file__, threading.__file__}


def guarded(function: Callable[..., Any], /, *args: Any, seconds: float | None = None, **kwargs: Any) -> Any:
    """Call somebody's function; whatever it raises comes back as a SubjectError of one line.

    Parameters
    ----------
    function : callable
        Called with `args` and `kwargs`.
    seconds : float or None
        A time limit for this call alone. None: that of the `guard` around it; without one, `SECONDS`.

    Returns
    -------
    object
        What `function` returns.

    Raises
    ------
    SubjectError
        If the function raises, exits or does not finish; the text names the line of the user's file.

    Examples
    --------
    >>> guarded(max, 2, 3)
    3
    """
    if seconds is not None or _here.seconds is None:
        with guard(SECONDS if seconds is None else seconds):
            return guarded(function, *args, **kwargs)
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        raise as_subject_error(error) from error


def as_subject_error(error: BaseException) -> SubjectError:
    """Return what somebody's code raised as one line that names its own; Ctrl-C goes on as it is."""
    trace: types.TracebackType | None = error.__traceback__
    where = None
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if _is_users(name):
            where = trace
        trace = trace.tb_next
    if isinstance(error, KeyboardInterrupt) and not _raises(where):
        raise error  # the person at the keyboard, not the code
    place = f"{_place(where.tb_frame.f_code.co_filename, where.tb_lineno)}: " if where else ""
    if isinstance(error, _TimeUp):
        return SubjectError(f"{place}not finished within {_here.seconds or SECONDS:g} s")
    said = " ".join(str(error).split())[:300]
    if isinstance(error, SubjectError):
        return SubjectError(place + said)
    return SubjectError(f"{place}{type(error).__name__}" + (f": {said}" if said else ""))


def _raises(trace: types.TracebackType | None) -> bool:
    """Whether the traceback ends in a ``raise`` statement of the user's code."""
    if trace is None or trace.tb_next is not None:
        return False
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _is_users(name: str) -> bool:
    return name in places or not name.startswith(LIBRARY)


def _place(name: str, line: int) -> str:
    return places[name](line) if name in places else f"{name}:{line}"
