"""Steps of PyTorch written from the papers, by the names of the zoo's cells.

A step is ``step(A, p, *states)``: ``A("i", h)`` is x_t W_i + h U_i + b_i of a gate i, what of it there is;
``A.x`` is x_t, ``A.t`` what else is given; ``p`` are the parameters by name. It returns the states after the
step, the output first.
"""

from collections.abc import Callable
from typing import Any

from literature import dynamics, gated, mapped, memories, recent, scans, units

Step = Callable[..., Any]

STEPS: dict[str, Step] = gated.STEPS | scans.STEPS | dynamics.STEPS | mapped.STEPS
STEPS |= memories.STEPS | units.STEPS | recent.STEPS
