"""Room that is no number until it is written: who reads it before gives none either."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bptt.kernels.runtime import memory
from bptt.kernels.runtime.tape import recording
from bptt.types import Array, Dtype


def poison(patch: Any) -> None:
    """Have room given out full of nan, or of bytes that are nan as numbers, by a pytest.MonkeyPatch."""
    empty = memory.empty

    def filled(shape: int | Sequence[int], dtype: Dtype) -> Array:
        array = empty(shape, dtype)
        if recording.tape is None:
            array.fill(np.nan if array.dtype.kind == "f" else 255)
        return array

    patch.setattr(memory, "empty", filled)
