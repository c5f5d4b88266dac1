"""The step in PyTorch: its own layers where it has the cell, else a Python loop over its tensors."""

from typing import Any

import numpy as np

from bptt.bench.contenders import Kind, Work
from bptt.bench.settings import Setting
from bptt.errors import ConfigError
from bptt.layer import threads
from bptt.nets.conventions import to_system
from bptt.nets.stack import layer_params
from bptt.types import Array, Params
from bptt.zoo import get
from bptt.zoo.step import step_of, with_equations

LAYERS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "rnn-relu": "RNN"}


def layer_of(room: Any, cell: str, *sizes: int) -> Any:
    """Return a layer by `room`, torch.nn or one with its names, or None where PyTorch has no such cell."""
    made = get(cell)
    if made.name not in LAYERS or made is not get(made.name):  # one of a user's file may be called lstm, too
        return None
    more = {"nonlinearity": "relu"} if made.name == "rnn-relu" else {}
    return getattr(room, LAYERS[made.name])(*sizes, **more)


def prepare(kind: Kind, setting: Setting, cell: str, option: str) -> Work:
    """Return what takes a step, or writes a token.

    `option` is float32, bfloat16 for autocast, or compiled for a loop over a compiled step.
    """
    import torch
    from torch.nn import functional as F  # noqa: N812  as everybody calls it
    from torch.nn.utils.rnn import pack_padded_sequence

    torch.set_num_threads(threads.count())
    model = setting.model(cell, "reference")
    _, params = model.unmapped(model.init(np.random.default_rng(0)))
    own = None
    if option != "compiled" and not setting.recurrent_dropout:  # PyTorch's own drop nothing within
        own = layer_of(torch.nn, cell, setting.E, setting.H, setting.layers)
    layers = _Loop(params, setting, cell, option) if own is None else _with_weights(own, params, cell)
    E, W = (torch.nn.Parameter(torch.from_numpy(params[name])) for name in ("embedding", "output.W"))
    output = torch.nn.Linear(setting.H, setting.V)
    output.weight = torch.nn.Parameter(W.detach().T.contiguous())
    output.bias = torch.nn.Parameter(torch.from_numpy(params["output.b"]))
    tensors = [E, *output.parameters(), *layers.parameters()]
    tokens = torch.from_numpy(setting.tokens())
    narrow = option == "bfloat16"

    def trained(inputs: Any, targets: Any, state: Any, lengths: Any = None) -> tuple[float, Array, Any]:
        for tensor in tensors:
            tensor.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=narrow):
            x = F.embedding(inputs, E)
            if lengths is not None:
                x, packed = (
                    pack_padded_sequence(a, lengths, enforce_sorted=False) for a in (x, targets[..., None])
                )
                targets = packed.data
            y, state = layers(x, state)
            logits = output(y if lengths is None else y.data)
            loss = F.cross_entropy(logits.view(-1, setting.V), targets.reshape(-1))
        loss.backward()
        return loss.item(), E.grad.numpy(), state

    if kind == "sampling":
        token, state = torch.zeros((1, 1), dtype=torch.int64), None

        def write() -> None:
            nonlocal token, state
            with torch.inference_mode():
                y, state = layers(F.embedding(token, E), state)
                token = torch.multinomial(torch.softmax(output(y[0]), -1), 1)

        return write
    if kind == "lengths":
        if own is None:
            raise ConfigError(f"PyTorch has no {cell}, and so no packed sequences for it")
        lengths = torch.from_numpy(setting.row_lengths())
        return lambda: trained(tokens[:-1], tokens[1:], None, lengths)[:2]
    carried: Any = None

    def step() -> tuple[float, Array]:
        nonlocal carried
        loss, dE, state = trained(tokens[:-1], tokens[1:], carried)
        carried = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        return loss, dE

    return step


def _with_weights(layers: Any, params: Params, cell: str) -> Any:
    """Return PyTorch's own layers, with the model's weights."""
    import torch

    with torch.no_grad():
        for layer in range(layers.num_layers):
            theirs = to_system(cell, layer_params(params, layer), "pytorch")
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                tensor = getattr(layers, f"{part}_l{layer}")
                tensor.copy_(torch.from_numpy(theirs[part])) if part in theirs else tensor.zero_()
    return layers


class _Loop:
    """Any cell by a Python loop, over a step that may be compiled; the input's products are out of it.

    What is dropped of what U reads is drawn anew for each batch, as ours is.
    """

    def __init__(self, params: Params, setting: Setting, cell: str, option: str) -> None:
        import torch

        from bptt.torch.loop import functions

        self._drops, made = setting.drops(cell), with_equations(cell)
        self._cell, self._H = made, setting.H
        step = step_of(self._drops.cell, functions(), lambda a, count: a.chunk(count, -1))
        self._step = _compiled(step) if option == "compiled" else step
        self._layers = [
            {name: torch.nn.Parameter(torch.from_numpy(a)) for name, a in layer_params(params, k).items()}
            for k in range(setting.layers)
        ]

    def parameters(self) -> list[Any]:
        return [tensor for layer in self._layers for tensor in layer.values()]

    def __call__(self, x: Any, state: Any) -> tuple[Any, Any]:
        import torch

        from bptt.torch.loop import starts

        kinds = len(self._cell.states)
        zeros = [x.new_zeros(self._cell.width(s, self._H)) for s in self._cell.states]
        first = [f for layer in self._layers for f in starts(self._cell, layer, x, self._H) or zeros]
        state = state or tuple(f.expand(x.shape[1], -1).contiguous() for f in first)
        after: tuple[Any, ...] = ()
        for k, layer in enumerate(self._layers):
            masks = self._drops.draw(x.shape[1], self._H)
            read = layer | {name: torch.from_numpy(m) for name, m in masks.items()}
            a_x = x @ layer["W"]
            if "b" in layer:
                a_x = a_x + layer["b"]
            states, y = state[k * kinds : (k + 1) * kinds], []
            for a_t in a_x.unbind():
                states = self._step(a_t, states, read)
                y.append(states[0])
            x, after = torch.stack(y), after + tuple(states)
        return x, after


def _compiled(step: Any) -> Any:
    """Return a step compiled: first its operations as a graph, since Dynamo cannot follow equations."""
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    made: Any = None

    def run(*given: Any) -> Any:
        nonlocal made
        if made is None:
            graph = make_fx(lambda *arrays: step(*arrays))(*given)
            made = torch.compile(graph, fullgraph=True, dynamic=False)
        return made(*given)

    return run
