"""What a cell's compiled loops are called with: the one list that their code and their callers both read.

It is made of names alone, not of the derivation that the code is made from; so a process that finds the code
on the disk needs no computer algebra. There are R rows, one for each step of each sequence; a call has n
sequences of its own. A value has `width` numbers for each row: H, or as many as its axes say (see
:mod:`bptt.derive.axes`); G is the width of all gates together. A number ``ahead`` says that all x W are in
``a`` before the loop, and that all dx come after it: one product of all rows, where a step has few; another,
``ends``, that nobody reads the gradient at the states before the first step. Values v are made of parameters
alone, and so computed once (:mod:`bptt.derive.still`).

============  ==================  ================================================================
``starts``    (steps,)            in: each step's first row, and ``counts``
``present``   (R,), or none       in: flags of steps that exist; none: all do
``reset``     (R,), or none       in: flags of steps before which states start anew
``W.k``       packed              in: W's columns for a run of gates, and ``U0.k``, ``U1.k``, ... those
                                  of each operand's product; their transposes for the backward; as they
                                  lie where ``W.k row`` says from a row to the next, else packed
``unit.p``    (w,), or (R, w)     in: a parameter of each unit, or what is given to it at each step
``tokens``    (R,), or none       in: which row of ``table`` (V, G) is the input's part
``x``         (R, D), or none     in: the input, else
``bias``      (G,)                in: both biases
``a``         (R, G)              out: what the backward reads (`.slots.Slots`)
``prev.s``    (R, w)              out: each state before the step
``carry.s``   (n, w)              in and out: each state
``start.s``   (w,), or none       in: where it starts after a reset; none: at zero
``y``         (R, w)              out: the outputs
``after.s``   (R, w), or none     out: each state after the step; all of them, or none
``slots``     (R Σw,)             out: what does not fit into ``a``
``q.q``       (R, w)              out: each operand that is no state
``dy``        (R, w)              in: the gradient at the outputs
``dafter.s``  (R, w), or none     in: the gradient at each state after the step; all, or none
``da``        (R, G)              out: the gradient at the pre-activations; may be ``a`` itself
``dx``        (R, D), or none     out: the gradient at the input
``dcarry.s``  (n, w)              in and out: the gradient at each state
``dstart.s``  (n, w), or none     in and out: the gradient at what resets have put there
``dunit.p``   (n, w)              in and out: the gradient at a parameter of each unit
``dgiven.p``  (R, w)              out: the gradient at one of the cell's inputs
``dq``        (n, w)              scratch: the gradient at an operand (the widest)
``still.v``   (n, w)              scratch: such a value, in the first row
``dstill.v``  (n, w)              scratch, zeros at first: the gradient at that
``narrow``    (n, pairs), or none scratch: a product's rows, rounded to bfloat16 (the largest's)
``scratch``   (numbers,)          scratch: values of one row of a call between loops over axes
============  ==================  ================================================================
"""

from collections.abc import Iterable
from math import prod

from bptt.derive import EquationCell
from bptt.derive.axes import PLACES, UNIT, Axes
from bptt.derive.still import parts
from bptt.kernels.llvm.host import Host
from bptt.kernels.runtime.pool import Fields


class Interface:
    """What a cell's loops read and write, for one precision and processor.

    Parameters
    ----------
    cell : EquationCell
    precision : "float32", "float64" or "bfloat16"
        Of the products; with bfloat16 all else is float32.
    host : Host

    Attributes
    ----------
    learnt : tuple of str
        The units' parameters, without what is given at each step.
    parts : Parts
        What is computed once, and what at each step.
    operands : tuple of str
        What each product but W takes: the output before the step, and the cell's own operands.
    G : int
        How many gates there are.
    products : dict of list of (int, int)
        For W, and for each operand, the neighbouring gates that it feeds: the first, the one after the last.
    axes : dict of frozenset
        Of each value; a single head is none.
    unit : frozenset
        The axes of a value for each unit.
    fields : dict of Fields
        Of ``"forward"`` and ``"backward"``: where arrays are, and sizes.
    """

    def __init__(self, cell: EquationCell, precision: str, host: Host) -> None:
        self.cell, self.host = cell, host
        self.learnt = tuple(p for p in cell.units if p not in cell.given)
        self.parts = parts(cell.equations)
        self.is_narrow = precision == "bfloat16"
        self.dtype = "float32" if self.is_narrow else precision
        eq = cell.equations
        self.G = len(eq.gates)
        one = {"head"} if eq.heads == 1 else set()
        self.axes = {name: axes - one for name, axes in eq.axes.items()}
        self.unit = UNIT - one
        self.operands = (eq.before[0], *(q for q, _ in cell.operands))
        fed = (cell.from_x, cell.from_h, *(gates for _, gates in cell.operands))
        names = ("W", *(f"U{k}" for k in range(len(self.operands))))
        self.products = {name: self._runs(gates) for name, gates in zip(names, fed, strict=True)}
        common = [
            "steps",
            "H",
            "D",
            "R",
            "starts",
            "counts",
            "ahead",
            "ends",
            "a",
            "present",
            "reset",
            "slots",
            "narrow",
            "scratch",
        ]
        common += [f"prev.{s}" for s in eq.states] + [f"unit.{p}" for p in cell.units]
        common += [f"q.{q}" for q in self.made] + [f"still.{v}" for v in self.parts.made]
        matrices = [f"{name}.{k}" for name, found in self.products.items() for k in range(len(found))]
        common += [*matrices, *(f"{name} row" for name in matrices)]
        self.fields = {
            "forward": Fields([*common, "tokens", "table", "x", "bias", "y"]
                              + [f"{of}.{s}" for of in ("carry", "after", "start") for s in eq.states]),
            "backward": Fields([*common, "da", "dy", "dx", "dq", "n"]
                               + [f"{of}.{s}" for of in ("dcarry", "dafter", "dstart") for s in eq.states]
                               + [f"dunit.{p}" for p in self.learnt] + [f"dgiven.{p}" for p in cell.inputs]
                               + [f"dstill.{v}" for v in self.parts.made]),
        }  # fmt: skip

    @property
    def made(self) -> tuple[str, ...]:
        """The operands that the cell makes itself; the others are states before the step."""
        return tuple(q for q in self.operands if q not in self.cell.equations.before)

    def taken(self, operand: str) -> str:
        """Return the array in which an operand is."""
        return f"q.{operand}" if operand in self.made else f"prev.{operand.removesuffix('_prev')}"

    def size(self, axes: Axes, H: int) -> int:
        """Return how many numbers a value with these axes has for each row."""
        eq = self.cell.equations
        J = H if eq.heads == 1 else H // eq.heads  # H may be a symbol
        sizes = zip(PLACES, (eq.heads, J, J if eq.keys is None else eq.keys), strict=True)
        return prod(size for axis, size in sizes if axis in axes)

    def total(self, H: int) -> int:
        """Return G, the width of all gates together."""
        return sum(self.size(self.axes[g], H) for g in self.cell.equations.gates)

    def _runs(self, gates: Iterable[str]) -> list[tuple[int, int]]:
        """Return the neighbouring gates among some, in their order."""
        runs = list[tuple[int, int]]()
        for gate in gates:
            g = self.cell.gates.index(gate)
            if runs and runs[-1][1] == g:
                runs[-1] = runs[-1][0], g + 1
            else:
                runs.append((g, g + 1))
        return runs


def kinds() -> list[Axes]:
    """Return all sets of axes."""
    return [Axes(axis for k, axis in enumerate(PLACES) if number >> k & 1) for number in range(8)]
