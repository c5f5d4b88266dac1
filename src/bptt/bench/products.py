"""A product of large matrices in float32, on all threads: what this machine can do at most."""

from functools import partial

import numpy as np

from bptt.bench.contenders import Kind, Work
from bptt.bench.settings import Setting


def prepare(kind: Kind, setting: Setting, cell: str, option: str) -> Work:
    """Return a product of squares with H rows."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(setting.H, setting.H)).astype(np.float32) for _ in range(2))
    out = np.empty_like(a)
    if option == "numpy":
        return partial(np.matmul, a, b, out=out)
    from bptt.kernels.ops.products import matmul

    return partial(matmul, a, b, out)
