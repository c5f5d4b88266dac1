"""The gated recurrent unit with the reset gate after the product, as PyTorch and cuDNN have it.

The candidate's input part and recurrent part do not simply add: the reset gate scales the recurrent
part, with its bias, before the sum. So the pre-activation has four blocks, r, z, n and m; W feeds
r, z, n and U feeds r, z, m::

    a_r, a_z = x_t W + h_prev U + b      (both biases)
    a_n = x_t W_n + b_n                  the input part of the candidate
    a_m = h_prev U_n + b_hn              its recurrent part

    (1)  r = σ(a_r)                      reset gate
    (2)  z = σ(a_z)                      update gate
    (3)  n = tanh(a_n + r a_m)           candidate
    (4)  h = z h_prev + (1 - z) n        output

Backward, given dh, the whole gradient at h_t::

    (4)  dz = dh (h_prev - n)      dn = dh (1 - z)      dh_prev = dh z
    (3)  da_n = dn (1 - n²)        da_m = da_n r        dr = da_n a_m
    (2)  da_z = dz z (1 - z)
    (1)  da_r = dr r (1 - r)
"""

import numpy as np

from bptt.cells.base import Cache, Cell, States, blocks
from bptt.elementwise import sigmoid
from bptt.types import Array


class GRU(Cell):
    """Gated recurrent unit, reset after the product (Keras: ``reset_after=True``)."""

    name = "gru"
    gates = ("r", "z", "n", "m")
    from_x = ("r", "z", "n")
    from_h = ("r", "z", "m")

    def forward(self, a: Array, states: States) -> tuple[States, Cache]:
        (h_prev,) = states
        _, _, a_n, a_m = blocks(a, 4)
        r, z = blocks(sigmoid(a[..., : a.shape[-1] // 2]), 2)  # (1) (2)
        n = np.tanh(a_n + r * a_m)  # (3)
        h = n + z * (h_prev - n)  # (4)
        return (h,), (r, z, n, a_m, h_prev)

    def backward(self, dstates: States, cache: Cache) -> tuple[Array, States]:
        (dh,) = dstates
        r, z, n, a_m, h_prev = cache
        dz, dn, dh_prev = dh * (h_prev - n), dh * (1 - z), dh * z  # (4)
        da_n = dn * (1 - n * n)  # (3)
        da = np.concatenate(
            [
                da_n * a_m * r * (1 - r),  # (3) (1)
                dz * z * (1 - z),  # (2)
                da_n,
                da_n * r,  # (3)
            ],
            axis=-1,
        )
        return da, (dh_prev,)
