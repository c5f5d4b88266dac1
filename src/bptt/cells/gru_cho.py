"""The gated recurrent unit with the reset gate before the product (Cho et al. 2014).

The candidate's recurrent product takes the reset state q in place of h_prev, so a step holds two
products: first r and z from h_prev, then n from q::

    a_r, a_z = x_t W + h_prev U + b
    (1)  r = σ(a_r)                      reset gate
    (2)  q = r h_prev                    the operand of the second product
    a_n = x_t W_n + q U_n + b_n
    (3)  z = σ(a_z)                      update gate
    (4)  n = tanh(a_n)                   candidate
    (5)  h = z h_prev + (1 - z) n        output

Backward, given dh, the whole gradient at h_t. The time loop turns da_n into dq = da_n U_nᵀ, and then::

    (5)  dz = dh (h_prev - n)      dn = dh (1 - z)      dh_prev = dh z
    (4)  da_n = dn (1 - n²)
    (3)  da_z = dz z (1 - z)
    (2)  dr = dq h_prev            dh_prev += dq r
    (1)  da_r = dr r (1 - r)
"""

import numpy as np

from bptt.cells.base import Cache, Cell, States, blocks
from bptt.elementwise import sigmoid
from bptt.types import Array


class GRUCho(Cell):
    """Gated recurrent unit, reset before the product (Keras: ``reset_after=False``)."""

    name = "gru-cho"
    gates = ("r", "z", "n")
    from_h = ("r", "z")
    from_q = ("n",)

    def operand(self, a: Array, states: States, k: int = 0) -> tuple[Array, Cache]:
        (h_prev,) = states
        a_r, _, _ = blocks(a, 3)
        r = sigmoid(a_r)  # (1)
        return r * h_prev, (r, h_prev)  # (2)

    def operand_backward(self, dq: Array, cache: Cache, da: Array, k: int = 0) -> States:
        r, h_prev = cache
        da_r, _, _ = blocks(da, 3)
        da_r[...] = dq * h_prev * r * (1 - r)  # (2) (1)
        return (dq * r,)  # (2)

    def forward(self, a: Array, states: States) -> tuple[States, Cache]:
        (h_prev,) = states
        _, a_z, a_n = blocks(a, 3)
        z, n = sigmoid(a_z), np.tanh(a_n)  # (3) (4)
        h = n + z * (h_prev - n)  # (5)
        return (h,), (z, n, h_prev)

    def backward(self, dstates: States, cache: Cache) -> tuple[Array, States]:
        (dh,) = dstates
        z, n, h_prev = cache
        dz, dn, dh_prev = dh * (h_prev - n), dh * (1 - z), dh * z  # (5)
        da_r = np.zeros_like(dh)  # r acts through q alone: operand_backward fills this block
        da = np.concatenate([da_r, dz * z * (1 - z), dn * (1 - n * n)], axis=-1)  # (3) (4)
        return da, (dh_prev,)
