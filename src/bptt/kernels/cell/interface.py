"""What a cell's compiled loops are called with: the one list that their code and their callers both read.

It is made of names alone, not of the derivation that the code is made from; so a process that finds the code
on the disk needs no computer algebra. There are R rows, one for each step of each sequence; a call has n
sequences of its own. A number ``ahead`` says that all x W are in ``a`` before the loop, and that all dx come
after it: one product of all rows, where a step has few.

============  ==================  ================================================================
``starts``    (steps,)            in: each step's first row, and ``counts``
``absent``    (R,), or none       in: flags of steps that do not exist
``reset``     (R,), or none       in: flags of steps before which states start anew
``W.k``       packed              in: W's columns for a run of gates, ``U.k``, ``Uq.k``; their
                                  transposes for the backward
``unit.p``    (H,), or (R, H)     in: a parameter of each unit, or what is given to it at each step
``tokens``    (R,), or none       in: which row of ``table`` (V, G·H) is the input's part
``x``         (R, D), or none     in: the input, else
``bias``      (G·H,)              in: both biases
``a``         (R, G·H)            out: what the backward reads (`.sequence.Slots`)
``prev.s``    (R, H)              out: each state before the step
``carry.s``   (n, H)              in and out: each state
``start.s``   (H,), or none       in: where it starts after a reset; none: at zero
``y``         (R, H)              out: the outputs
``after.s``   (R, H), or none     out: each state after the step; all of them, or none
``slots``     (extra, R, H)       out: what does not fit into ``a``
``q``         (R, H)              out: the operand of a second product
``dy``        (R, H)              in: the gradient at the outputs
``dafter.s``  (R, H), or none     in: the gradient at each state after the step; all, or none
``da``        (R, G·H)            out: the gradient at the pre-activations; may be ``a`` itself
``dx``        (R, D), or none     out: the gradient at the input
``dcarry.s``  (n, H)              in and out: the gradient at each state
``dstart.s``  (n, H), or none     in and out: the gradient at what resets have put there
``dunit.p``   (n, H)              in and out: the gradient at a parameter of each unit
``dq``        (n, H)              scratch: the gradient at q
``narrow``    (n, pairs), or none scratch: a product's rows, rounded to bfloat16 (the largest's)
============  ==================  ================================================================
"""

from bptt.derive import EquationCell
from bptt.kernels.llvm.host import Host
from bptt.kernels.runtime.pool import Fields
from bptt.layer.columns import Columns


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
    products : dict of list of (slice, slice)
        For W, U, and U's part that an operand goes through, the neighbouring gates that they feed: which
        blocks of ``a``, and of the product.
    fields : dict of Fields
        Of ``"forward"`` and ``"backward"``: where arrays are, and sizes.
    """

    def __init__(self, cell: EquationCell, precision: str, host: Host) -> None:
        self.cell, self.host = cell, host
        self.learnt = tuple(p for p in cell.units if p not in cell.given)
        self.is_narrow = precision == "bfloat16"
        self.dtype = "float32" if self.is_narrow else precision
        eq = cell.equations
        self.G = len(eq.gates)
        blocks = Columns.of(cell, 1)
        self.products = {"W": blocks.W.runs, "U": blocks.h.runs, "Uq": blocks.q.runs}
        common = [
            "steps",
            "H",
            "D",
            "R",
            "starts",
            "counts",
            "ahead",
            "a",
            "absent",
            "reset",
            "slots",
            "q",
            "narrow",
        ]
        common += [f"prev.{s}" for s in eq.states] + [f"unit.{p}" for p in eq.params]
        products = [f"{name}.{k}" for name, found in self.products.items() for k in range(len(found))]
        self.fields = {
            "forward": Fields([*common, *products, "tokens", "table", "x", "bias", "y"]
                              + [f"{of}.{s}" for of in ("carry", "after", "start") for s in eq.states]),
            "backward": Fields([*common, *products, "da", "dy", "dx", "dq"]
                               + [f"{of}.{s}" for of in ("dcarry", "dafter", "dstart") for s in eq.states]
                               + [f"dunit.{p}" for p in eq.params]),
        }  # fmt: skip
