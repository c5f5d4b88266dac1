"""Any recurrent cell as a layer of PyTorch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from bptt.cells import Cell as Equations
from bptt.errors import ConfigError
from bptt.nets.init import Init
from bptt.nets.stack import expect_sizes
from bptt.torch import loop
from bptt.torch.mapped import Matrices
from bptt.torch.recurrent import Recurrent
from bptt.torch.tensors import Tensor
from bptt.types import Array, BiasCount
from bptt.zoo.step import with_equations


class Cell(Recurrent):
    """Layers of any cell: one of the zoo, or one of your own equations.

    Parameters
    ----------
    cell : str or bptt.cells.Cell
        As :func:`bptt.zoo.get` takes it: ``"slstm"``, ``"FILE.py:NAME"``, a function under ``bptt.cell``.
    input_size, hidden_size, num_layers : int
        D, H and L.
    bias : bool
        Whether there is ``b``, where the cell has one at all.
    batch_first : bool
        Whether input and output are (N, T, ·). States never are.
    dropout : float
        The part of each layer's output that is dropped on its way to the next, while training.
    bidirectional : bool
    learn_start : bool
        Whether the states that sequences start from are parameters; they begin at zero, or where the cell
        starts.
    device, dtype
        As everywhere in PyTorch.

    Attributes
    ----------
    W_l0, U_l0, b_l0, ... : Parameter
        (D, Gx·H), (H, Gh·H), (Gx·H,) and, by their names, (H,) those that each unit has for itself;
        ``start_h_l0``, ... (H,) where states start that is learnt; what maps make matrices of, such as
        ``U_a_h_M_l0``; for each layer, and with ``_reverse`` for the direction from the end. They start as
        `bptt.Init` draws them,
        from PyTorch's generator.
    runs_on : str
        What ran the last forward: compiled code on the CPU in float32, float64 and bfloat16, and elsewhere a
        loop of PyTorch's operations, which any device, dtype and transform takes.

    Raises
    ------
    ConfigError
        If there is no such cell, or it is no equations, or a size means nothing.

    Examples
    --------
    >>> import torch, bptt.torch
    >>> layer = bptt.torch.Cell("slstm", 3, 4)
    >>> y, (h, c, n, m) = layer(torch.randn(5, 2, 3))
    >>> y.shape, c.shape, sorted(name for name, _ in layer.named_parameters())
    (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]), ['U_l0', 'W_l0', 'b_l0'])
    """

    by_rows = False

    def __init__(
        self,
        cell: str | Equations,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        learn_start: bool = False,
    ) -> None:
        super().__init__()
        self.given = with_equations(cell)
        self.cell = self.given.plain
        loop.prepare(self.cell)
        for name, size in (
            ("input_size", input_size),
            ("hidden_size", hidden_size),
            ("num_layers", num_layers),
        ):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ConfigError(f"{name} must be a whole number from 1, got {size!r}")
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise ConfigError(f"dropout must be a part, from 0 to 1, got {dropout!r}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        expect_sizes(self, "input_size", "hidden_size", "num_layers")
        side = self.cell.width(self.cell.states[0], hidden_size)
        widest = input_size if num_layers == 1 else side * (1 + bidirectional)
        if "x" in self.cell.inputs and not input_size == hidden_size == widest:
            raise ConfigError(
                f"{self.cell.name}: its equations read x, so every input must be H = {hidden_size}"
            )
        self.bias, self.batch_first = bias, batch_first
        self.dropout, self.bidirectional, self.learn_start = float(dropout), bidirectional, learn_start
        self._names: list[dict[str, str]] = []
        self._matrices: list[Matrices] = []
        for k in range(num_layers * (1 + bidirectional)):
            layer, reverse = divmod(k, 1 + bidirectional)
            D = input_size if layer == 0 else side * (1 + bidirectional)
            ending = f"_l{layer}" + "_reverse" * reverse
            drawn = self._drawn(D)
            self._matrices.append(Matrices(self.given, D, hidden_size))
            self._names.append({name: name.replace(".", "_") + ending for name in drawn})
            if len({*self._names[-1].values()}) < len(drawn):
                raise ConfigError(
                    f"{self.cell.name}: learn_start has parameters start_{self.cell.states[0]}, ...: "
                    "call the cell's own otherwise"
                )
            for name, array in drawn.items():
                tensor = torch.from_numpy(array).to(device=device, dtype=dtype or torch.get_default_dtype())
                self.register_parameter(self._names[-1][name], torch.nn.Parameter(tensor))

    def _drawn(self, D: int) -> dict[str, Array]:
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        bias: BiasCount = "one" if self.bias and self.cell.bias else "none"
        return Init().layer(
            rng, self.given, D, self.hidden_size, bias, np.float64, learn_start=self.learn_start
        )

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        with torch.no_grad():
            for names in self._names:
                drawn = self._drawn(getattr(self, names["W"]).shape[0])
                for name, array in drawn.items():
                    getattr(self, names[name]).copy_(torch.from_numpy(array))

    def reason_against(self) -> str | None:
        """Return what the cell has that compiled code here has no case for."""
        return self.cell.more or None

    def layer_params(self, k: int) -> tuple[tuple[str, ...], Sequence[Tensor]]:
        """Return the names and the tensors of a layer in a direction, with the matrices that maps make."""
        named = {name: getattr(self, own) for name, own in self._names[k].items()}
        if self.given.maps:
            named = self._matrices[k](named)
        return tuple(named), [*named.values()]

    def __prepare_scriptable__(self) -> torch.nn.Module:
        """Raise ConfigError: ``torch.jit.script`` reads Python, and this layer is equations."""
        raise ConfigError(
            f"{self.cell.name}: torch.jit.script takes no layer of equations; torch.export.export and "
            "torch.compile do"
        )

    def extra_repr(self) -> str:
        """Return what `repr` says."""
        said = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        said["learn_start"] = False
        more = [
            f"{name}={getattr(self, name)}" for name, usual in said.items() if getattr(self, name) != usual
        ]
        return ", ".join([self.cell.name, str(self.input_size), str(self.hidden_size), *more])
