"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate by Gers et al. 2000).

Equations, per hidden unit, with a = x_t W + h_{t-1} U + b in blocks i, f, o, g::

    (1)  i = σ(a_i)                input gate
    (2)  f = σ(a_f)                forget gate
    (3)  o = σ(a_o)                output gate
    (4)  g = tanh(a_g)             candidate
    (5)  c = f c_prev + i g        cell state
    (6)  h = o tanh(c)             output

Backward. dh and dc are the gradients at h_t and c_t that come from outside this step. h_t is made of
c_t, so the whole gradient at c_t has a second term, by the whole of dh and not by the part of it that
comes from the loss at t alone::

    (6)  do = dh tanh(c)           dc += dh o (1 - tanh²(c))
    (5)  df = dc c_prev            di = dc g        dg = dc i        dc_prev = dc f
    (4)  da_g = dg (1 - g²)
    (3)  da_o = do o (1 - o)
    (2)  da_f = df f (1 - f)
    (1)  da_i = di i (1 - i)
"""

import numpy as np

from bptt.cells.base import Cache, Cell, States, blocks
from bptt.elementwise import sigmoid
from bptt.types import Array


class LSTM(Cell):
    """Long short-term memory without peepholes."""

    name = "lstm"
    gates = ("i", "f", "o", "g")
    states = ("h", "c")

    def forward(self, a: Array, states: States) -> tuple[States, Cache]:
        _, c_prev = states
        H = c_prev.shape[-1]
        i, f, o = ifo = blocks(sigmoid(a[..., : 3 * H]), 3)  # (1) (2) (3)
        g = np.tanh(a[..., 3 * H :])  # (4)
        c = f * c_prev + i * g  # (5)
        tanh_c = np.tanh(c)
        h = o * tanh_c  # (6)
        return (h, c), (*ifo, g, c_prev, tanh_c)

    def backward(self, dstates: States, cache: Cache) -> tuple[Array, States]:
        dh, dc = dstates
        i, f, o, g, c_prev, tanh_c = cache
        do = dh * tanh_c  # (6)
        dc = dc + dh * o * (1 - tanh_c * tanh_c)  # (6)
        df, di, dg, dc_prev = dc * c_prev, dc * g, dc * i, dc * f  # (5)
        da = np.concatenate(
            [
                di * i * (1 - i),  # (1)
                df * f * (1 - f),  # (2)
                do * o * (1 - o),  # (3)
                dg * (1 - g * g),  # (4)
            ],
            axis=-1,
        )
        return da, (np.zeros_like(dh), dc_prev)
