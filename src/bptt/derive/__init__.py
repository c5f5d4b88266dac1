"""Cells as equations: written once as plain Python, then derived, proven, printed and run."""

from bptt.derive.cell import EquationCell, cell
from bptt.derive.equations import EquationError, Equations, read
from bptt.derive.functions import FUNCTIONS

__all__ = ["FUNCTIONS", "EquationCell", "EquationError", "Equations", "cell", "read"]
