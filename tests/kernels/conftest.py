"""In tests of kernels what nobody has written is no number, so that who reads it gives none either."""

from collections.abc import Sequence

import numpy as np
import pytest

from bptt.kernels.runtime import memory
from bptt.kernels.runtime.tape import recording
from bptt.types import Array, Dtype


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill room with nan, and with bytes that are nan as numbers, before it is given out."""
    empty = memory.empty

    def filled(shape: int | Sequence[int], dtype: Dtype) -> Array:
        array = empty(shape, dtype)
        if recording.tape is None:
            array.fill(np.nan if array.dtype.kind == "f" else 255)
        return array

    monkeypatch.setattr(memory, "empty", filled)
