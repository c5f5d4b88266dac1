"""How code is called that has its loss inside: what its plan is made of, whatever its form."""

from dataclasses import dataclass, field, replace

from bptt.checking.adapters.home import Home
from bptt.checking.adapters.shapes import Layout, Shape
from bptt.checking.adapters.signature import Signature
from bptt.checking.subject import Sizes


@dataclass(frozen=True)
class Convention:
    """One way to call a function that takes inputs and targets.

    Attributes
    ----------
    name : str
    home : Home
        Of the function, there called "forward".
    read : Signature
    shapes : dict of Shape
        Of every array of the point.
    roles : dict of str
        As in `Subject`.
    layout : Layout
    tokens : bool
        Whether the inputs are integers, not vectors.
    same : bool
        Whether inputs are vectors of the outputs' size.
    """

    name: str
    home: Home
    read: Signature
    shapes: dict[str, Shape]
    roles: dict[str, str]
    layout: Layout
    tokens: bool
    same: bool = field(default=False, kw_only=True)

    def sizes(self, sizes: Sizes) -> Sizes:
        """Return sizes as this convention has them."""
        return replace(sizes, D=sizes.V) if self.same else sizes
