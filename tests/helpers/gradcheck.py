"""Numerical gradients to hold hand-derived ones against, and the measure of how far they are apart.

Two ways to a gradient that know nothing of backpropagation, both element by element:

``complex_step``         dL/dv = Im L(v + i·1e-30) / 1e-30: no difference is taken, so it is exact to
                         rounding. Wants a loss that carries complex numbers through.
``central_differences``  (L(v + s) - L(v - s)) / 2s: right to about 1e-8, and wants nothing of the loss.

The error of a tensor is max |got - wanted| / max |wanted|, over its entries: an entry counts by what it
is next to the tensor's largest, so that a small tensor is judged as strictly as a large one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from bptt.cells import Cell, States
from bptt.layer.reference import Unrolled, unroll
from bptt.types import Array, Dtype, Generator, Gradients, Params

LossOf = Callable[[Params], Any]
"""A scalar loss of arrays by name. It must not change them."""

PARAMS = ("W", "U", "b", "b_h")
TOLERANCE = {"float32": 1e-5, "float64": 1e-13, "complex128": 1e-13, "bfloat16": 4e-3}
"""How far rounding may take a layer over a few steps, by its dtype: sums are taken in another order.

bfloat16: of products that round alike; but what is between two numbers may go either way, by 1 part in 256.
"""

COMPLEX_STEP = 1e-30
DIFFERENCE_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)  # where truncation and rounding balance


def complex_step(loss: LossOf, arrays: Params, step: float = COMPLEX_STEP) -> Params:
    """Return dL at every element of every array, by a step along the imaginary axis."""
    lifted = {name: array.astype(np.complex128) for name, array in arrays.items()}
    grads = {name: np.zeros(array.shape) for name, array in arrays.items()}
    for name, array in lifted.items():
        for at in np.ndindex(array.shape):
            real = array[at]
            array[at] = real + 1j * step
            value = loss(lifted)
            assert np.iscomplexobj(value), f"the loss drops the imaginary part of {name}"
            grads[name][at] = value.imag / step
            array[at] = real
    return grads


def central_differences(loss: LossOf, arrays: Params, step: float = DIFFERENCE_STEP) -> Params:
    """Return dL at every element of every array, by a step to either side."""
    moved = {name: array.astype(np.float64) for name, array in arrays.items()}
    grads = {name: np.zeros(array.shape) for name, array in arrays.items()}
    for name, array in moved.items():
        for at in np.ndindex(array.shape):
            here = float(array[at])
            by = step * max(1.0, abs(here))
            array[at] = above = here + by
            upper = loss(moved)
            array[at] = below = here - by
            grads[name][at] = (upper - loss(moved)) / (above - below)  # the steps as rounded, not as meant
            array[at] = here
    return grads


def relative_error(got: Array, wanted: Array) -> float:
    """Return max |got - wanted| / max |wanted|; infinite where got is not finite, or not zero as wanted."""
    assert got.shape == wanted.shape, f"got shape {got.shape}, wanted {wanted.shape}"
    assert np.isfinite(wanted).all(), "there is nothing to compare with"
    if not np.isfinite(got).all():
        return np.inf
    off, largest = np.abs(got - wanted).max(initial=0), np.abs(wanted).max(initial=0)
    if largest == 0:
        return 0.0 if off == 0 else np.inf
    return float(off / largest)


def errors(got: Params, wanted: Params) -> dict[str, float]:
    """Return the error of each tensor; both must hold the same tensors."""
    assert got.keys() == wanted.keys(), f"got {sorted(got)}, wanted {sorted(wanted)}"
    return {name: relative_error(array, wanted[name]) for name, array in got.items()}


def assert_close(got: Params, wanted: Params, tolerance: float) -> None:
    """Fail, naming the tensors, where an error is above the tolerance."""
    off = {name: error for name, error in errors(got, wanted).items() if not error <= tolerance}
    assert not off, f"above {tolerance:g}: " + ", ".join(f"{k} {v:.2g}" for k, v in off.items())


def dot(arrays: Params, cotangents: Params) -> Any:
    """Return Σ array · cotangent, not conjugated: a scalar loss whose cotangents are those given."""
    return sum((arrays[name] * d).sum() for name, d in cotangents.items())


@dataclass(frozen=True)
class Layer:
    """One cell over time, with random values for all of its arrays and all of its outputs' cotangents.

    ``arrays`` holds the parameters, ``x`` and the initial states (``h0``, ``c0``); ``cotangents`` holds
    ``y`` and the final states (``h``, ``c``).
    """

    cell: Cell
    arrays: Params
    cotangents: Params
    mask: Array | None = None
    reset: Array | None = None
    reverse: bool = False

    @property
    def params(self) -> Params:
        return self.params_of(self.arrays)

    def params_of(self, arrays: Params) -> Params:
        return {name: a for name, a in arrays.items() if name in PARAMS or name in self.cell.units}

    def astype(self, dtype: Dtype) -> "Layer":
        """Return the layer with all numbers of a type."""
        arrays, cotangents = (
            {k: a.astype(dtype) for k, a in p.items()} for p in (self.arrays, self.cotangents)
        )
        return replace(self, arrays=arrays, cotangents=cotangents)

    def run(self, arrays: Params | None = None) -> Unrolled:
        arrays = self.arrays if arrays is None else arrays
        params = self.params_of(arrays)
        states = tuple(arrays[f"{s}0"] for s in self.cell.states)
        flags: dict[str, Any] = {"mask": self.mask, "reset": self.reset, "reverse": self.reverse}
        return unroll(self.cell, params, arrays["x"], states, **flags)

    def during(self, steps: slice) -> "Layer":
        """Return the layer over these steps alone, with the same initial states."""
        return replace(
            self,
            arrays=self.arrays | {"x": self.arrays["x"][steps]},
            cotangents=self.cotangents | {"y": self.cotangents["y"][steps]},
            mask=None if self.mask is None else self.mask[steps],
            reset=None if self.reset is None else self.reset[steps],
        )

    def outputs(self, arrays: Params | None = None) -> Params:
        run = self.run(arrays)
        return {"y": run.y} | dict(zip(self.cell.states, run.states, strict=True))

    def loss(self, arrays: Params) -> Any:
        return dot(self.outputs(arrays), self.cotangents)

    def backward(self, run: Unrolled) -> Gradients[States]:
        return run.backward(self.cotangents["y"], tuple(self.cotangents[s] for s in self.cell.states))

    def grads(self, run: Unrolled | None = None) -> Params:
        """Return the gradient at every one of ``arrays``, by its name; none at x where it is tokens."""
        found = self.backward(self.run() if run is None else run)
        states = {f"{s}0": d for s, d in zip(self.cell.states, found.states, strict=True)}
        return found.params | ({} if found.inputs is None else {"x": found.inputs}) | states


def random_layer(
    rng: Generator,
    cell: Cell,
    *,
    T: int = 5,
    N: int = 2,
    D: int = 4,
    H: int = 3,
    bias: Literal["none", "one", "two"] = "two",
    mask: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
    dtype: Dtype = np.float64,
) -> Layer:
    """Return a layer whose weights have no symmetry, and where nothing is zero."""

    def draw(*shape: int, scale: float = 1.0) -> Array:
        return rng.normal(0, scale, shape).astype(dtype)

    Gx, Gh = len(cell.from_x), len(cell.from_h) + len(cell.from_q)
    arrays = {"W": draw(D, Gx * H, scale=0.6), "U": draw(H, Gh * H, scale=0.6)}
    if bias != "none":
        arrays["b"] = draw(Gx * H, scale=0.5)
    if bias == "two":
        arrays["b_h"] = draw(Gh * H, scale=0.5)
    arrays |= {name: draw(*cell.unit_shape(name, H)) for name in cell.units}
    arrays["x"] = draw(T, N, D)
    arrays |= {f"{s}0": draw(N, H) for s in cell.states}
    cotangents = {"y": draw(T, N, H)} | {s: draw(N, H) for s in cell.states}
    return Layer(cell, arrays, cotangents, mask, reset, reverse)
