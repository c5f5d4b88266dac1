"""A linear map of a window to what comes after it, by least squares that are held back.

::

    Y ≈ X B         B = (XᵀX + λ)⁻¹ XᵀY

λ is that of the least squared error of rows left out one by one. With the eigenvectors V and eigenvalues w of
XᵀX no row need be left out to know it: that of a row is its own error divided by 1 - h, where h is the sum of
(XV)² / (w + λ). Hoerl and Kennard, "Ridge Regression" (Technometrics 1970).
"""

import numpy as np

from bptt.layer.threads import one_blas_thread
from bptt.types import Array

PENALTIES = tuple(10.0**k for k in range(7))
"""λ, of which one is chosen, up to one that leaves nothing of a map of scaled values.

None is below 1, the weight of one window: windows that follow each other are much alike, so that the ones
beside a row that is left out tell it, and a map of few windows would seem better than it is.
"""


def ridge(x: Array, y: Array) -> Array:
    """Return B (W, H), from rows x (P, W) and y (P, H).

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(400, 2))
    >>> ridge(x, x @ [[1.0], [-2.0]]).round(2).tolist()
    [[1.0], [-1.99]]
    """
    with one_blas_thread():
        w, V = np.linalg.eigh(x.T @ x)
        z = x @ V
        zy, squares, w = z.T @ y, z * z, np.maximum(w, 0)
        maps = [zy / (w + penalty)[:, None] for penalty in PENALTIES]
        errors = []
        for penalty, found in zip(PENALTIES, maps, strict=True):
            left = np.maximum(1 - (squares / (w + penalty)).sum(axis=1), 0.01)
            errors.append(float(np.mean(((y - z @ found) / left[:, None]) ** 2)))
        best: Array = V @ maps[int(np.argmin(errors))]
    return best
