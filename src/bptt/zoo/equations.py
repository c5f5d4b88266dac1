# mypy: disable-error-code="no-untyped-def"
"""A zoo of recurrent cells: each is its equations, and the paper they come from.

Nothing else is written for any of them: the backward is derived (``bptt derive NAME``), proven, and run.
Those that ``bptt.cells.CELLS`` also has are written there by hand, as the derivation's oracle.
"""

import numpy as np

from bptt.derive import EquationCell, cell
from bptt.derive.functions import exp, max, relu, sigmoid, softplus, tanh
from bptt.types import Array, Generator


@cell(state="h")
def rnn(a_h):
    """Elman 1990: the vanilla recurrent network."""
    h = tanh(a_h)
    return h


@cell(state="h")
def rnn_relu(a_h):
    """Le, Jaitly and Hinton 2015: rectified units."""
    h = relu(a_h)
    return h


@cell(state="h", params={"u": (-1, 1)})
def indrnn(x_h, h, u):
    """Li et al. 2018: each unit is recurrent with itself alone, by a weight of its own."""
    h = relu(x_h + u * h)
    return h


@cell(state="h c")
def lstm(a_i, a_f, a_o, a_g, c):
    """Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000."""
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c


@cell(state="h c", bias=False)
def lstm_no_bias(a_i, a_f, a_o, a_g, c):
    """The LSTM without biases."""
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c


@cell(state="h c", params="p_i p_f p_o")
def lstm_peephole(a_i, a_f, a_o, a_g, c, p_i, p_f, p_o):
    """Gers and Schmidhuber 2000: the gates see the cell state through weights of their own."""
    i = sigmoid(a_i + p_i * c)
    f = sigmoid(a_f + p_f * c)
    g = tanh(a_g)
    c = f * c + i * g
    o = sigmoid(a_o + p_o * c)
    h = o * tanh(c)
    return h, c


@cell(state="h c")
def lstm_coupled(a_f, a_o, a_g, c):
    """Greff et al. 2015 (CIFG): what is forgotten is what is written, i = 1 - f."""
    f, o, g = sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    c = f * c + (1 - f) * g
    h = o * tanh(c)
    return h, c


@cell(state="h c")
def lstm_no_forget(a_i, a_o, a_g, c):
    """Hochreiter and Schmidhuber 1997: the first LSTM's cell state only adds up."""
    i, o, g = sigmoid(a_i), sigmoid(a_o), tanh(a_g)
    c = c + i * g
    h = o * tanh(c)
    return h, c


T_MAX = 64.0
"""The longest dependency that the chrono initialisation expects, in steps."""


def chrono(rng: Generator, H: int) -> dict[str, Array]:
    """Return biases by which units forget over times spread from 1 to T_MAX steps."""
    b_f = np.log(rng.uniform(1, T_MAX - 1, H))
    return {"a_f": b_f, "a_i": -b_f}


@cell(state="h c", init=chrono)
def lstm_chrono(a_i, a_f, a_o, a_g, c):
    """Tallec and Ollivier 2018: the LSTM whose biases start at a range of time scales."""
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c


@cell(state="h c n m")
def slstm(a_i, a_f, a_o, a_z, c, n, m):
    """Beck et al. 2024 (xLSTM): an exponential input gate, a normaliser n and a stabiliser m."""
    z = tanh(a_z)
    o = sigmoid(a_o)
    log_f = -softplus(-a_f)
    m_prev = m
    m = max(log_f + m_prev, a_i)
    i = exp(a_i - m)
    f = exp(log_f + m_prev - m)
    c = f * c + i * z
    n = f * n + i
    h = o * c / n
    return h, c, n, m


@cell(state="h")
def gru(a_r, a_z, x_n, u_n, h):
    """Cho et al. 2014 as in cuDNN and PyTorch: the reset gate after the product."""
    r, z = sigmoid(a_r), sigmoid(a_z)
    n = tanh(x_n + r * u_n)
    h = z * h + (1 - z) * n
    return h


@cell(state="h", operand={"a_n": "q"})
def gru_cho(a_r, a_z, a_n, h):
    """Cho et al. 2014: the reset gate before the product, whose operand is q."""
    r = sigmoid(a_r)
    q = r * h
    z, n = sigmoid(a_z), tanh(a_n)
    h = z * h + (1 - z) * n
    return h


@cell(state="h", operand={"a_n": "q"}, init={"a_f": 0.0})
def mgu(a_f, a_n, h):
    """Zhou et al. 2016: the minimal gated unit, one gate for both of the GRU's.

    Its f makes room for what is new, so a bias above zero would not keep h: it starts at zero.
    """
    f = sigmoid(a_f)
    q = f * h
    n = tanh(a_n)
    h = (1 - f) * h + f * n
    return h


@cell(state="h", init={"a_g": 1.0})
def ugrnn(a_g, a_c, h):
    """Collins, Sohl-Dickstein and Sussillo 2017: the update-gate network."""
    g, c = sigmoid(a_g), tanh(a_c)
    h = g * h + (1 - g) * c
    return h


ZOO: dict[str, EquationCell] = {c.name: c for c in list(globals().values()) if isinstance(c, EquationCell)}
"""By name: rnn, rnn-relu, indrnn, lstm, lstm-no-bias, ..."""


def _named(name: str) -> EquationCell:
    """Return a cell of the zoo, for pickle."""
    return ZOO[name]


for _cell in ZOO.values():
    _cell.pickled = _named, (_cell.name,)
