"""Recurrent layers of Keras, unlike as they may be, as a Stack's: all of H units and in the same directions.

A layer of fewer units has units added whose weights are zero, and a layer in one direction has another whose
weights are zero: nothing above reads what these give. What stands between two layers and is linear, as the
sum of two directions or a normalisation that is learnt no more, becomes a part of the upper one's W and b.
"""

from dataclasses import dataclass

import numpy as np

from bptt.exchange.keras_model.recurrent import MERGES, Layer
from bptt.types import Array, Params


@dataclass(frozen=True)
class Affine:
    """What stands before a matrix: x becomes x * scale + shift."""

    scale: Array
    shift: Array

    def then(self, other: "Affine") -> "Affine":
        """Return this one, and after it another."""
        return Affine(self.scale * other.scale, self.shift * other.scale + other.shift)

    def into(self, W: Array, b: Array | None) -> tuple[Array, Array]:
        """Return the matrix and the bias that do its work, too."""
        shift = self.shift @ W
        return self.scale[:, None] * W, shift if b is None else b + shift


def spread(below: Layer, W: Array, H: int, *, both: bool) -> Array:
    """Return a matrix that reads a layer's output as one that reads the same layer in the stack.

    Parameters
    ----------
    below : Layer
    W : (n, K) array
    H : int
        The stack's units.
    both : bool
        Whether the stack has both directions.
    """
    h, wide = below.hidden, np.zeros((H * (2 if both else 1), W.shape[1]), W.dtype)
    ways = [k for k, params in enumerate((below.forward, below.reverse)) if params is not None]
    apart = below.width > h
    for k in ways:
        share = 1.0 if len(ways) == 1 else MERGES[below.merge]
        wide[k * H : k * H + h] = W[k * h : (k + 1) * h] if apart else W * W.dtype.type(share)
    return wide


def stacked(layers: list[Layer], before: list[Affine | None]) -> Params:
    """Return the parameters of a stack of these layers, by its names.

    Parameters
    ----------
    layers : list of Layer
        Of the same cell.
    before : list of Affine or None
        What stands before each.
    """
    H, both = max(layer.hidden for layer in layers), any(layer.reverse is not None for layer in layers)
    found: Params = {}
    for number, (layer, affine) in enumerate(zip(layers, before, strict=True)):
        for k, way in enumerate(("", "reverse.")[: 2 if both else 1]):
            params = (layer.forward, layer.reverse)[k]
            own = _none(layer) if params is None else dict(params)
            if affine is not None and params is not None:
                own["W"], own["b"] = affine.into(own["W"], own.get("b"))
            own = {name: _wide(array, layer.hidden, H, rows=name == "U") for name, array in own.items()}
            if number:
                own["W"] = spread(layers[number - 1], own["W"], H, both=both)
            found |= {f"layers.{number}.{way}{name}": array for name, array in own.items()}
    return _same_biases(found)


def _none(layer: Layer) -> Params:
    """Return the parameters of a direction that gives zeros."""
    given = layer.forward or layer.reverse or {}
    return {name: np.zeros_like(array) for name, array in given.items()}


def _wide(array: Array, own: int, H: int, *, rows: bool) -> Array:
    """Return an array with a block of H columns for each of `own` ones, and so its rows."""
    if own == H:
        return array
    lead = (H,) if rows else array.shape[:-1]
    wide = np.zeros((*lead, array.shape[-1] // own, H), array.dtype)
    wide[(*(slice(n) for n in array.shape[:-1]), slice(None), slice(own))] = array.reshape(
        *array.shape[:-1], -1, own
    )
    return wide.reshape(*lead, -1)


def _same_biases(params: Params) -> Params:
    """Return the parameters with b in all layers or in none, and b_h in all where one is not zero."""
    heads = [name.removesuffix("W") for name in params if name.endswith(".W")]
    two = any(array.any() for name, array in params.items() if name.endswith(".b_h"))
    one = two or any(name.endswith(".b") for name in params)
    found: Params = {}
    for head in heads:
        for name, of, wanted in (("W", "W", True), ("U", "U", True), ("b", "W", one), ("b_h", "U", two)):
            if wanted:
                matrix = params[head + of]
                found[head + name] = params.get(head + name, np.zeros(matrix.shape[1], matrix.dtype))
    return found
