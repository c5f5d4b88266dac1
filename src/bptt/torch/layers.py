# mypy: disable-error-code="no-untyped-def"
"""PyTorch's LSTM, GRU and RNN by compiled code: their names, numbers, inputs, outputs and errors."""

from collections.abc import Sequence
from copy import copy
from typing import Any

from torch import nn

from bptt.cells import Cell
from bptt.derive import cell
from bptt.derive.functions import sigmoid, tanh
from bptt.torch.recurrent import Recurrent
from bptt.torch.tensors import Tensor
from bptt.zoo import get


@cell(state="h c")
def lstm(a_i, a_f, a_g, a_o, c):
    """Hochreiter and Schmidhuber 1997, its gates in the order in which PyTorch's weights lie."""
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), tanh(a_g), sigmoid(a_o)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c


_GRU, _RNN, _RELU = map(get, ("gru", "rnn", "rnn-relu"))
_NAMES = "W", "U", "b", "b_h"


class _Named(Recurrent, nn.RNNBase):
    """What the three have in common: PyTorch's constructor, names and errors."""

    by_rows = True

    def layer_params(self, k: int) -> tuple[tuple[str, ...], Sequence[Tensor]]:
        names, own = self._all_weights[k], self._parameters
        # where they are parameters, as most are, that is sooner found than an attribute
        return _NAMES[: len(names)], [own[n] if n in own else getattr(self, n) for n in names]

    def reason_against(self) -> str | None:
        return "proj_size" if self.proj_size else None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied: the weights stand among the parameters, and need not be leaves besides."""
        left_out = ("_flat_weights", "_flat_weight_refs", "_ran", "_fit")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        nn.Module.__setstate__(self, state)
        self._init_flat_weights()

    def __prepare_scriptable__(self) -> nn.RNNBase:
        """Return PyTorch's own layer of the same parameters, which ``torch.jit.script`` compiles."""
        made = self.theirs.__new__(self.theirs)
        nn.Module.__setstate__(made, {name: copy(value) for name, value in self.__getstate__().items()})
        made._init_flat_weights()
        return made


class LSTM(_Named):
    """:class:`torch.nn.LSTM` by compiled code."""

    theirs = nn.LSTM
    narrows_packed = False  # PyTorch runs it step by step, and adds in float32
    get_expected_cell_size = nn.LSTM.get_expected_cell_size
    check_forward_args = nn.LSTM.check_forward_args
    permute_hidden = nn.LSTM.permute_hidden

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    @property
    def cell(self) -> Cell:
        """Its equations."""
        return lstm


class GRU(_Named):
    """:class:`torch.nn.GRU` by compiled code."""

    theirs = nn.GRU
    narrows = narrows_packed = False  # PyTorch's blends its gates with a state in float32

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)

    @property
    def cell(self) -> Cell:
        """Its equations."""
        return _GRU


class RNN(_Named):
    """:class:`torch.nn.RNN` by compiled code, with tanh or relu."""

    theirs = nn.RNN

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        nonlinearity = args[3] if len(args) > 3 else kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args[:3], *args[4:], **kwargs)
        self.nonlinearity = nonlinearity

    @property
    def cell(self) -> Cell:
        """Its equations."""
        return _RNN if self.mode == "RNN_TANH" else _RELU
