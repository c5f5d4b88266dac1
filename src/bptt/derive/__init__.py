"""Cells as equations: written once as plain Python, then derived, proven, printed and run."""

from bptt.derive.cell import EquationCell, cell
from bptt.derive.equations import EquationError, Equations, read
from bptt.derive.functions import FUNCTIONS
from bptt.derive.load import load
from bptt.derive.render import FORMATS, page

__all__ = [
    "FORMATS",
    "FUNCTIONS",
    "EquationCell",
    "EquationError",
    "Equations",
    "cell",
    "load",
    "page",
    "read",
]
