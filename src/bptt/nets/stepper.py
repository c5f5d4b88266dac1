"""A model that reads one token after another, as when it writes: its weights are made ready once.

With a kernel, a step is one call of machine code for each layer, on arrays that stay where they are. The
numbers are those of :meth:`bptt.Model.forward` over one step, carried on.
"""

from typing import Any

import numpy as np

from bptt.errors import ConfigError
from bptt.kernels import backends
from bptt.nets.model import Model
from bptt.nets.stack import layer_params
from bptt.types import Array, Params

FOLDED = 1 << 23
"""The most numbers in a table of E W, the first layer's part of every token: 32 MiB in float32."""


class Stepper:
    """A model at some place in some sequences.

    Parameters
    ----------
    model : Model
        Of tokens, in one direction.
    params : dict of arrays
        Not changed, and not to be changed while this is used.
    state : dict of (N, H), optional
        Where the sequences stand. Default: at their beginning.
    batch : int
        N, the number of sequences.

    Raises
    ------
    ConfigError
        If the model does not read tokens from left to right.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> model = bptt.Model(inputs=9, outputs=9, hidden=4, embedding=3)
    >>> params = model.init(np.random.default_rng(0))
    >>> stepper = Stepper(model, params)
    >>> first, second = stepper.read(np.array([7])), stepper.read(np.array([2]))
    >>> whole = model.forward(params, np.array([[7], [2]]))
    >>> bool(np.allclose(second, whole.outputs[1], atol=1e-6))
    True
    """

    def __init__(self, model: Model, params: Params, state: Params | None = None, *, batch: int = 1) -> None:
        if not model.token_inputs or model.bidirectional:
            raise ConfigError("one token after another is for a model of tokens in one direction")
        if reads := [name for name in model.stack.cell.inputs if name != "x"]:
            name = model.stack.cell.name
            raise ConfigError(
                f"{name} reads {', '.join(reads)} at each step, which nobody gives to what is written: let "
                f"it be a number, cell.fixed({', '.join(f'{n}=1.0' for n in reads)}) or --beside {reads[0]}=1"
            )
        model, params = model.unmapped(params)
        self._model, self._params = model, params
        dtype = np.result_type(*params.values())
        state = model.zero_state(batch, dtype, params) if state is None else state
        compiled = backends.kernel(model.backend, model.stack.cell, dtype, model.precision)
        self._layers: list[Any] = []
        self._state = state
        if compiled is None:
            return
        from bptt.kernels.cell.onestep import OneStep
        from bptt.kernels.ops.products import Packed

        table = params.get("embedding")
        small = table is not None and len(table) * params["layers.0.W"].shape[1] <= FOLDED
        if small and model.input.may_fold:
            params, table = params | model.input.folded(params), None
        if table is None and not model.input.may_fold:
            table = np.eye(model.inputs, dtype=dtype)
        for layer in range(model.layers):
            own = layer_params(params, layer)
            states = tuple(state[f"layers.{layer}.{s}"].astype(dtype) for s in model.stack.cell.states)
            tokens = layer == 0 and table is None
            x = None if layer == 0 else self._layers[-1].y
            self._layers.append(OneStep(compiled, own, states, tokens=tokens, x=x))
        self._embedding = table
        matrices = [model.output.matrix(params)]
        if model.output.projection is not None:
            matrices.insert(0, params["output.P"])
        self._above, y = [], self._layers[-1].y
        for matrix in matrices:
            below, y = y, np.empty((len(y), matrix.shape[1]), dtype)
            packed = Packed(matrix.astype(dtype, copy=False), bfloat16=model.precision == "bfloat16")
            self._above.append(packed.prepared(below, y))
        self._logits = y

    @property
    def state(self) -> Params:
        """The states as they are now, (N, H) by name."""
        if not self._layers:
            return self._state
        cell = self._model.stack.cell
        return {
            f"layers.{layer}.{s}": step.state(s).copy()
            for layer, step in enumerate(self._layers)
            for s in cell.states
        }

    def read(self, tokens: Array) -> Array:
        """Read a token of each sequence, (N,) integers, and return the logits after it, (N, K)."""
        if not self._layers:
            run = self._model.forward(self._params, tokens[None], self._state)
            self._state = run.state
            outputs: Array = run.outputs[0]
            return outputs
        least, most = (tokens[0], tokens[0]) if len(tokens) == 1 else (tokens.min(), tokens.max())
        if least < 0 or most >= self._model.inputs:
            raise ConfigError(f"tokens must be in 0 .. V-1 = {self._model.inputs - 1}, got {tokens}")
        self._layers[0].input[...] = tokens if self._embedding is None else self._embedding[tokens]
        for layer in self._layers:
            layer.run()
        for product in self._above:
            product()
        logits: Array = (
            self._logits + self._params["output.b"] if self._model.output_bias else self._logits.copy()
        )
        return logits
