"""Every optimiser, arrays to move, and whether two dicts of them are the same to the bit."""

from typing import Any

import numpy as np
import pytest

from bptt.training.optim import SGD, Adagrad, Adam, AdamW, RMSProp
from bptt.types import Params

SHAPES = {"E": (5, 3), "U": (3, 4), "b": (4,), "scale": ()}

EVERY = [
    SGD(),
    SGD(momentum=0.9),
    SGD(momentum=0.9, nesterov=True),
    Adagrad(),
    RMSProp(),
    Adam(),
    AdamW(weight_decay=0.1),
]
every = pytest.mark.parametrize("optimizer", EVERY, ids=repr)


def draw(seed: int, dtype: Any = np.float64) -> Params:
    rng = np.random.default_rng(seed)
    return {name: np.asarray(rng.standard_normal(shape)).astype(dtype) for name, shape in SHAPES.items()}


def copy(arrays: Params) -> Params:
    return {name: array.copy() for name, array in arrays.items()}


def same_bits(a: Params, b: Params) -> bool:
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)
