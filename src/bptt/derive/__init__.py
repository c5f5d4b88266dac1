"""Cells as equations: written once as plain Python, then derived, proven, printed and run."""

from bptt.derive.decorator import cell
from bptt.derive.equation_cell import EquationCell
from bptt.derive.equations import EquationError, Equations
from bptt.derive.functions import FUNCTIONS
from bptt.derive.reader import read
from bptt.derive.render import FORMATS, page

__all__ = [
    "FORMATS",
    "FUNCTIONS",
    "EquationCell",
    "EquationError",
    "Equations",
    "cell",
    "page",
    "read",
]
