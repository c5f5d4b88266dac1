"""What crosses the borders of rooms: names for types, and the two that carry data down and gradients back."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypedDict, TypeVar, Unpack

import numpy as np
import numpy.typing as npt

from bptt.errors import ConfigError, ShapeError

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array of any dtype; docstrings give the shape."""

NONE: Array = np.empty((0, 0))
"""No array."""
NONE.flags.writeable = False

Params: TypeAlias = dict[str, Array]
"""Parameters, gradients or states by name, as in ``{"layers.0.U": ...}``."""

Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""Shapes by the same names."""

Dtype: TypeAlias = npt.DTypeLike

Generator: TypeAlias = np.random.Generator
"""All randomness comes from one of these, passed in by the caller."""

Share: TypeAlias = Callable[[Callable[[Any], Array], Iterable[Any]], Iterator[Array]]
"""As `map`: yields what a function finds of each piece, (K,), in the order of the pieces."""

Reduction: TypeAlias = Literal[
    "sum_over_time_and_batch",
    "mean_over_time_and_batch",
    "sum_over_time_mean_over_batch",
    "mean_over_time_sum_over_batch",
]
"""How the losses of steps and rows are weighed, see :mod:`bptt.nets.losses`."""

BiasCount: TypeAlias = Literal["none", "one", "two"]
"""A layer's biases: none; b, of the input part; or b and b_h, one of each part, as PyTorch has them."""


def expect_array(name: str, value: object) -> None:
    """Raise a ShapeError unless a value is an array of NumPy without a mask, which nothing would look at."""
    if type(value) is np.ndarray:
        return
    masked = sys.modules.get("numpy.ma")  # NumPy imports it when it is asked for, and not here, within a step
    if isinstance(value, getattr(masked, "MaskedArray", ())):
        raise ShapeError(
            f"{name} is a masked array, and its mask would not be looked at: give {name}.filled(...), and as "
            "mask= or target_mask= which steps there are or count"
        )
    if not isinstance(value, np.ndarray | np.generic):
        raise ShapeError(f"{name} must be an array, got a {type(value).__name__}: np.asarray makes one")


def expect_generator(rng: object) -> None:
    """Raise a ConfigError unless a value is a generator of NumPy."""
    if not isinstance(rng, np.random.Generator):
        raise ConfigError(
            f"rng must be a generator of NumPy, as np.random.default_rng(0) makes one; got {rng!r:.60}"
        )


class Flags(TypedDict, total=False):
    """What may be said of a batch beside its inputs and targets; see `Batch`."""

    mask: Array | None
    target_mask: Array | None
    reset: Array | None
    features: Array | None
    given: Mapping[str, Array] | None


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's data, time-major: T steps of N rows.

    Attributes
    ----------
    inputs : (T, N) integer tokens, or (T, N, D) real features
    targets : (T, N) integer tokens, or (T, N, K) real values; `NONE` where nothing is to be learnt
    mask : (T, N) bool or None
        Steps that exist; where False the states are held. None: all of them.
    target_mask : (T, N) bool or None
        Steps whose target counts in the loss. None: those of `mask`.
    reset : (T, N) bool or None
        Where True no state crosses the border between steps t-1 and t: what would cross starts anew.
    features : (N, F) or None
        What each sequence starts from, for a model that is made for them.
    given : dict of arrays, or None
        What the cell reads at each step beside its input, by name, in every layer: (T, N, H), or (T, N) where
        it is one number for a row.
    carry : bool
        Whether each row goes on where the same row of the previous batch ended, so that its final
        states are this batch's initial states.
    penalised : (float, float) or None
        Of how many steps, and pairs of steps, the means of activation penalties are, where a batch is some
        rows of another (see :mod:`bptt.nets.activation`). None: of its own.
    """

    inputs: Array
    targets: Array = field(default_factory=lambda: NONE)
    mask: Array | None = None
    target_mask: Array | None = None
    reset: Array | None = None
    features: Array | None = None
    given: Mapping[str, Array] | None = None
    carry: bool = False
    penalised: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        expect_array("inputs", self.inputs)
        expect_array("targets", self.targets)
        for name in ("mask", "target_mask", "reset", "features"):
            if (value := getattr(self, name)) is not None:
                expect_array(name, value)

    @classmethod
    def of(cls, inputs: "Array | Batch", targets: Array | None = None, **flags: Unpack[Flags]) -> "Batch":
        """Return a batch of arrays; a batch is returned as it is.

        Examples
        --------
        >>> import numpy as np
        >>> Batch.of(np.zeros((3, 2), int)).carry
        False
        """
        if not isinstance(inputs, Batch):
            return cls(inputs, NONE if targets is None else targets, **flags)
        if targets is not None or any(flag is not None for flag in flags.values()):
            raise ConfigError(
                "a Batch has targets and flags of its own: give it alone, and a state as state="
            )
        return inputs

    @property
    def counted(self) -> Array | None:
        """The steps that count in the loss, (T, N) bool; None: all of them."""
        return self.mask if self.target_mask is None else self.target_mask


S = TypeVar("S")


class Gradients(NamedTuple, Generic[S]):
    """What a backward gives, of a layer, of layers, of a part of a model or of the whole.

    Attributes
    ----------
    params : dict of arrays
        For each parameter, an array of its shape.
    inputs : (T, N, D) or None
        At the inputs; None where they are integer tokens.
    states : (N, H) each
        At the initial states: of a layer a tuple in the order of ``cell.states``, else a dict by name.
    features : (N, F) or None
        At the features that gave the initial states.
    given : dict of arrays, or None
        At what a model's cell reads beside its input; of a layer they are among ``params``.
    """

    params: Params
    inputs: Array | None
    states: S
    features: Array | None = None
    given: Params | None = None
