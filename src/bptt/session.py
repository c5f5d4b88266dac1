"""The notebook or IPython prompt that runs this: what of its cells has been executed."""

import linecache
import sys
from typing import Any


def executed(file: str) -> dict[int, str]:
    """Return the text of all executed cells by their numbers, if a code's file is one of them, else nothing.

    Parameters
    ----------
    file : str
        What code calls its file: ``function.__code__.co_filename``.
    """
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    cells = [] if shell is None else list(shell.user_ns.get("In", ()))
    return dict(enumerate(cells)) if _number(file, cells) else {}


def number(file: str) -> int | None:
    """Return the number of the executed cell that a code's file is; None if it is none."""
    return _number(file, [*executed(file).values()])


def called(file: str) -> str:
    """Return what a person calls a code's file: a cell by its number, any other by its name.

    Examples
    --------
    >>> called("cells.py")
    'cells.py'
    """
    cell = number(file)
    return file if cell is None else f"cell [{cell}]"


def notebook_display() -> Any:
    """Return how a notebook shows a value, IPython's `display`; None where no notebook runs this."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:  # a prompt in a terminal shows text alone
        return None
    from IPython.display import display

    return display


def _number(file: str, cells: list[str]) -> int | None:
    text = "".join(linecache.getlines(file)).strip()
    return next((k for k in reversed(range(len(cells))) if text and cells[k].strip() == text), None)
