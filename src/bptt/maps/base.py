"""What a map is: from raw arrays to a matrix, and from the gradient at the matrix back to them.

::

    before the loop through time     U = forward(raw, rows, columns)
    after the sums over time         draw = pullback(raw, dU)

so that loops and compiled code have a matrix as any other. A map's pullback is compared with the complex step
when it is first used.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bptt.errors import ConfigError, ShapeError
from bptt.types import Array, Generator, Params, Shapes

RAW = "M"
"""What the one raw array of a map is called that names none."""


class Map(ABC):
    """A matrix made of raw arrays, which are what is learnt.

    A map of your own has `forward` and `pullback`; its raw array is called M and has the matrix's own shape,
    unless `shapes` says otherwise.

    Attributes
    ----------
    text : str or None
        What `bptt.maps.read` makes it of again; without it a run cannot keep a cell with this map.
    name : str
        What a page and errors call it.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> class Squared(bptt.maps.Map):
    ...     def forward(self, raw, rows, columns):
    ...         return raw["M"] ** 2
    ...     def pullback(self, raw, d):
    ...         return {"M": 2 * raw["M"] * d}
    >>> @bptt.cell(state="h", maps={"a_h": Squared()})
    ... def positive(a_h):
    ...     h = tanh(a_h)
    ...     return h
    >>> model = bptt.Model(inputs=3, outputs=3, hidden=4, cell=positive)
    >>> model.shapes["layers.0.U.a_h.M"]
    (4, 4)
    """

    text: str | None = None

    @property
    def name(self) -> str:
        """What a page and errors call it."""
        return self.text or type(self).__name__

    def shapes(self, rows: int, columns: int) -> Shapes:
        """Return the raw arrays' shapes by their names, for a matrix (rows, columns).

        A ConfigError says that there is no such matrix.
        """
        return {RAW: (rows, columns)}

    def start(self, rng: Generator, rows: int, columns: int) -> Params:
        """Return where raw arrays start; those left out start as the matrix itself would (`bptt.Init`)."""
        return {
            name: rng.uniform(-1, 1, shape) / np.sqrt(shape[0])
            for name, shape in self.shapes(rows, columns).items()
            if shape != (rows, columns)
        }

    @abstractmethod
    def forward(self, raw: Params, rows: int, columns: int) -> Array:
        """Return the matrix (rows, columns), in the raw arrays' dtype, of complex ones too."""

    @abstractmethod
    def pullback(self, raw: Params, d: Array) -> Params:
        """Return the gradients at the raw arrays, by name, from that at the matrix."""


class Functions(Map):
    """A map that is two functions: ``forward(M)``, and ``pullback(M, d)``."""

    def __init__(self, forward: Callable[[Array], Any], pullback: Callable[[Array, Array], Any]) -> None:
        self._forward, self._pullback = forward, pullback

    @property
    def name(self) -> str:
        """What the first is called."""
        return str(getattr(self._forward, "__name__", "map")).strip("<>")

    def forward(self, raw: Params, rows: int, columns: int) -> Array:
        """Return the matrix."""
        return np.asarray(self._forward(raw[RAW]))

    def pullback(self, raw: Params, d: Array) -> Params:
        """Return the gradient at M."""
        return {RAW: np.asarray(self._pullback(raw[RAW], d))}


STEP, TOLERANCE = 1e-30, 1e-10
DIFFERENCE, COARSE = 1e-5, 1e-6
"""The complex step and what it leaves; the step to either side and what that leaves."""


@np.errstate(all="ignore")  # what is no number is looked for
def prove(made: Map, rows: int, columns: int) -> None:
    """Compare a map's pullback with the complex step, along random directions: each sees every wrong element.

    Raises
    ------
    ConfigError
        If the pullback is not that of the forward, or one of them does not run.
    ShapeError
        If one of them gives what is of another shape.
    """
    shapes = made.shapes(rows, columns)
    rng = np.random.default_rng(0)
    raw = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    d = rng.normal(size=(rows, columns))
    along = [{name: rng.normal(size=shape) for name, shape in shapes.items()} for _ in range(2)]
    try:
        value = np.asarray(made.forward(raw, rows, columns))
        found = {name: np.asarray(array) for name, array in made.pullback(raw, d).items()}
        rises = [(_rise(made, raw, d, v), _difference(made, raw, d, v)) for v in along]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConfigError(f"the map {made.name} does not run: {type(error).__name__}: {error}") from None
    if value.shape != (rows, columns):
        raise ShapeError(f"the map {made.name} must give a matrix {(rows, columns)}, got {value.shape}")
    for name, shape in shapes.items():
        if name not in found or found[name].shape != shape:
            got = found[name].shape if name in found else "nothing"
            raise ShapeError(f"the map {made.name}: its pullback must give {name} {shape}, got {got}")
    if not np.isfinite(value).all():
        raise ConfigError(f"the map {made.name} gives no number at random {', '.join(raw) or 'sizes'}")
    for v, (rise, difference) in zip(along, rises, strict=True):
        parts = np.concatenate([(found[n] * v[n]).ravel() for n in shapes] or [np.zeros(1)])
        total, size = parts.sum(), 1 + np.abs(parts).sum()
        # a function of somebody's may lose an imaginary part on its way: then the difference decides
        if not (abs(total - rise) <= TOLERANCE * size or abs(total - difference) <= COARSE * size):
            raise ConfigError(
                f"the map {made.name}: its pullback gives {total:.6g} along a random direction, and the "
                f"complex step through its forward {rise:.6g}: it is not the gradient"
            )


def _rise(made: Map, raw: Params, d: Array, along: Mapping[str, Array]) -> float:
    """Return how <d, forward> rises along a direction, by the complex step."""
    moved = made.forward({name: a + 1j * STEP * along[name] for name, a in raw.items()}, *d.shape)
    return float((d * np.imag(moved)).sum() / STEP)


def _difference(made: Map, raw: Params, d: Array, along: Mapping[str, Array]) -> float:
    """Return that by a step to either side."""
    above, below = (
        made.forward({n: a + by * along[n] for n, a in raw.items()}, *d.shape)
        for by in (DIFFERENCE, -DIFFERENCE)
    )
    return float((d * (above - below)).sum() / (2 * DIFFERENCE))
