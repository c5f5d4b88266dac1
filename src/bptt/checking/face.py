"""A file, judged in a process of its own."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bptt.checking.child import ChildError
from bptt.checking.child import run as _run
from bptt.checking.report import Report, Reports
from bptt.errors import BpttError, ConfigError

_WORK = "bptt.checking.examine:work"

SECONDS = 60.0  # how long a file may take


def check_file(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    example: str | os.PathLike[str] | None = None,
    run: bool = False,
    seed: int = 0,
    mend: bool = True,
    seconds: float = SECONDS,
    told: Callable[[Report], None] | None = None,
) -> Reports:
    """Judge the code of a file, from an example of its use.

    Parameters
    ----------
    path : path
        A Python file or a notebook. Its definitions are executed, in a process of their own.
    name : str, optional
        Judge only this function or class.
    example : str or path, optional
        A few lines that call the code once, or the name of a file that holds them: they see the file's names,
        and ``np``. Without, the file's own examples are taken, or some are written.
    run : bool
        Take the file's own main program for an example first, and not only where no other tells anything.
    seed : int
        Of the numbers at which it is judged.
    mend : bool
        Look for the change that makes a wrong gradient right, for as long as there is time.
    seconds : float
        The most that it may take; what was found by then is returned.
    told : callable, optional
        Called with each report as soon as it has its verdict: what is wrong is looked for after that.

    Returns
    -------
    list of Report
        One for each piece of code that was judged; in a notebook the list shows itself.

    Raises
    ------
    BpttError
        If the file cannot be read, or the example cannot be run, or the code ends the process, or nothing was
        found in the time.

    Examples
    --------
    >>> import tempfile
    >>> code = '''
    ... import numpy as np
    ... def f(x, W):
    ...     y = np.tanh(x @ W)
    ...     loss = np.sum(y * y)
    ...     da = 2 * y * (1 - y)
    ...     return loss, x.T @ da
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "layer.py"
    ...     _ = file.write_text(code)
    ...     example = "x, W = np.random.randn(2, 3), np.random.randn(3, 4); loss, dW = f(x, W)"
    ...     (report,) = check_file(file, example=example)
    >>> report.verdict, [mend["reason"] for mend in report.mends]
    ('wrong', ['`y` stands where `y ** 2` belongs'])
    """
    if not seconds > 0:
        raise ConfigError(f"seconds must be more than 0, got {seconds!r}")
    target = os.path.abspath(path)  # noqa: PTH100 (links stay)
    how = None if example is None else os.fspath(example)
    if how and os.path.isfile(how):  # noqa: PTH113 (of what is too long for a name it is none)
        how = str(Path(how).absolute())  # the child has a folder of its own
    arguments: dict[str, Any] = {"path": target, "name": name, "example": how, "run": run, "seed": seed}
    arguments |= {"mend": mend, "seconds": max(0.8 * seconds - 1, 0.5 * seconds)}
    near = target[: -len(Path(target).name)], os.fspath(path)[: -len(Path(path).name)]
    found: dict[int, Report] = {}
    try:
        for message in _run(_WORK, arguments, seconds=seconds):
            if message.kind == "report":  # more is known of one that has come before, or it is a new one
                number, report = message.payload["number"], Report.of(_near(message.payload, *near))
                if told is not None and number not in found:
                    told(report)
                found[number] = report
    except BpttError as error:
        error.args = tuple(_near(list(error.args), *near))
        if not found or not isinstance(error, ChildError):
            raise
        is_late = error.reason == "time"
        why = f"the time of {seconds:g} s was up; --seconds {2 * seconds:g} gives more" if is_late else error
        [*found.values()][-1].notes.append(f"what is said was known by then: {why}")
    return Reports(found.values())


def _near(value: Any, folder: str, said: str, key: str = "") -> Any:
    """Return a value in which the file's folder is named as the user named it; no file's text is touched."""
    if isinstance(value, dict):
        return {_near(k, folder, said): _near(v, folder, said, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_near(one, folder, said) for one in value]
    is_text = not isinstance(value, str) or key == "example" or "\n" in value
    return value if is_text else value.replace(folder, said)
