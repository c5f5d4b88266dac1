"""What a cell's compiled loops are called with: names alone, not the derivation that the code is made from.

So a process that finds the code on the disk needs no computer algebra.
"""

from bptt.derive import EquationCell
from bptt.kernels.llvm.host import Host
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
    products : dict of list of (slice, slice)
        For W, U, and U's part that an operand goes through, the neighbouring gates that they feed: which
        blocks of ``a``, and of the product.
    fields : dict of list of str
        For ``"forward"`` and ``"backward"``, the names of what the function's one argument points to: 64-bit
        numbers, addresses or sizes, in order.
    """

    def __init__(self, cell: EquationCell, precision: str, host: Host) -> None:
        self.cell, self.host = cell, host
        self.is_narrow = precision == "bfloat16"
        self.dtype = "float32" if self.is_narrow else precision
        eq = cell.equations
        self.G = len(eq.gates)
        blocks = Columns.of(cell, 1)
        self.products = {"W": blocks.W.runs, "U": blocks.h.runs, "Uq": blocks.q.runs}
        common = ["steps", "H", "D", "R", "starts", "counts", "a", "absent", "reset", "slots", "q", "narrow"]
        common += [f"prev.{s}" for s in eq.states] + [f"unit.{p}" for p in eq.params]
        products = [f"{name}.{k}" for name, found in self.products.items() for k in range(len(found))]
        self.fields = {
            "forward": [*common, *products, "tokens", "table", "x", "bias", "y"]
            + [f"carry.{s}" for s in eq.states],
            "backward": [*common, *products, "da", "dy", "dx", "dq"]
            + [f"dcarry.{s}" for s in eq.states]
            + [f"dunit.{p}" for p in eq.params],
        }
