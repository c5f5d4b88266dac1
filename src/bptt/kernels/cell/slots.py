"""Where what the backward reads is kept: a block of the pre-activations, or an array of its own."""

from collections.abc import Iterable, Mapping

from bptt.derive.axes import Axes
from bptt.derive.backward import Derivation
from bptt.kernels.cell.interface import kinds


class Slots:
    """Where each value that the backward reads is kept: a block of ``a``, or an extra array.

    A gate's pre-activation that is read again stays in its block; other values take the blocks of their axes
    that are free by then. What an operand's pass keeps goes to extra arrays: the gates are still to be read,
    and the operand's backward comes when the gates' gradients may be in their blocks.

    Attributes
    ----------
    kept : set of str
        All that passes keep.
    early : tuple of str
        What operands' passes keep.
    block : dict of int
        The gate in whose block a value is.
    extra : dict of frozenset
        The values in extra arrays, and their axes.
    """

    def __init__(self, d: Derivation, axes: Mapping[str, Axes]) -> None:
        eq = d.equations
        own = {*eq.before, *eq.columns[len(eq.gates) :], *eq.constants}
        self.kept = {n for p in (d.main, *d.operands) for n in p.kept}
        self.early = tuple(dict.fromkeys(n for p in d.operands for n in p.kept if n not in own))
        late = [n for n in d.main.kept if n not in own and n not in self.early]
        self.block = {n: eq.gates.index(n) for n in (*self.early, *late) if n in eq.gates}
        free = [k for k in range(len(eq.gates)) if k not in self.block.values()]
        self.extra = {n: axes[n] for n in self.early}
        for name in late:
            if name in self.block:
                continue
            fit = next((k for k in free if axes[eq.gates[k]] == axes[name]), None)
            if fit is None:
                self.extra[name] = axes[name]
            else:
                self.block[name] = fit
                free.remove(fit)


def counts(values: Iterable[Axes]) -> list[int]:
    """Return how many values have each set of axes."""
    found = [*values]
    return [found.count(axes) for axes in kinds()]
