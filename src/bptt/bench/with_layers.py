"""A layer alone, in PyTorch: by bptt.torch, by torch.nn, or by a loop of PyTorch's operations.

All have the same weights, and begin with the same states.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import bptt.torch
from bptt.bench.contenders import Kind, Work
from bptt.bench.settings import Setting
from bptt.bench.with_torch import layer_of
from bptt.layer import threads
from bptt.torch import loop
from bptt.torch.native import How
from bptt.types import Array

Tensor = Any
"""A torch.Tensor."""


class _Batch(NamedTuple):
    """x (T, N, E), or (R, E) where it is packed; who runs at each step of a packed one; resets (T, N)."""

    x: Tensor
    sizes: Tensor | None
    resets: Tensor | None

    def as_input(self) -> Any:
        return self.x if self.sizes is None else PackedSequence(self.x, self.sizes)


def prepare(kind: Kind, setting: Setting, cell: str, option: str) -> Work:
    """Return what runs a layer; `option` says whose: bptt, torch, or a loop that is scripted or compiled."""
    torch.set_num_threads(threads.count())
    torch.manual_seed(0)
    form, _, forward = kind.partition(" ")
    batch, sizes = _batch(form, setting), (setting.E, setting.H, setting.layers)
    dy = torch.randn(*batch.x.shape[:-1], setting.H)
    ours = layer_of(bptt.torch, cell, *sizes) or bptt.torch.Cell(cell, *sizes)
    theirs = layer_of(torch.nn, cell, *sizes) if option == "torch" else None
    with torch.no_grad():
        states = ours(batch.as_input())[
            1
        ]  # as they are after a sequence, so that no cell is given any it has not
    layer = ours
    if option == "bptt":
        run = _ours(ours, batch, states)
    elif theirs is None:
        run = _loop(ours, batch, states, option)
    else:
        theirs.load_state_dict(ours.state_dict())
        layer, run = theirs, _theirs(theirs, batch, states)
    if forward:

        def output() -> tuple[None, Array]:
            with torch.no_grad():
                return None, run().numpy()

        return output
    tensors = [batch.x.requires_grad_(), *layer.parameters()]

    def both() -> tuple[None, Array]:
        for tensor in tensors:
            tensor.grad = None
        run().backward(dy)
        return None, batch.x.grad.numpy()

    return both


def _batch(form: str, setting: Setting) -> _Batch:
    x = torch.randn(setting.T, setting.N, setting.E)
    if form == "packed":
        lengths = torch.from_numpy(setting.row_lengths()).sort(descending=True).values
        packed = pack_padded_sequence(x, lengths)
        return _Batch(packed.data, packed.batch_sizes, None)
    return _Batch(x, None, torch.from_numpy(setting.resets()) if form == "resets" else None)


def _ours(layer: Any, batch: _Batch, states: Any) -> Callable[[], Tensor]:
    more = {} if batch.resets is None else {"resets": batch.resets}
    return lambda: _output(layer(batch.as_input(), states, **more))


def _theirs(layer: Any, batch: _Batch, states: Any) -> Callable[[], Tensor]:
    """Return what runs PyTorch's layer: with resets, a call for each stretch of steps without any."""
    if batch.resets is None:
        return lambda: _output(layer(batch.as_input(), states))
    T, kept = len(batch.x), (~batch.resets).float()[:, None, :, None]
    stretches = list(pairwise([0, *(t for t in range(1, T) if batch.resets[t].any()), T]))

    def run() -> Tensor:
        outputs, now = [], states
        for begin, end in stretches:
            now = tuple(s * kept[begin] for s in now) if isinstance(now, tuple) else now * kept[begin]
            y, now = layer(batch.x[begin:end], now)
            outputs.append(y)
        return torch.cat(outputs)

    return run


def _loop(layer: Any, batch: _Batch, states: Any, option: str) -> Callable[[], Tensor]:
    """Return what runs a layer's equations by PyTorch's operations, step by step."""
    sizes = None if batch.sizes is None else tuple(batch.sizes.tolist())
    layers = [layer.layer_params(k) for k in range(layer.num_layers)]
    before = states if isinstance(states, tuple) else (states,)

    def run(x: Tensor, params: Any) -> Tensor:
        for k, (names, _) in enumerate(layers):
            how = How(layer.cell, names, layer.by_rows, False, sizes, False)
            x = loop.run(how, x, None, batch.resets, [s[k] for s in before], params[k])[0]
        return x

    given = batch.x, tuple(tuple(params) for _, params in layers)
    if option == "scripted":
        run = torch.jit.trace(run, given, check_trace=False)
    elif option == "compiled":
        # its operations as a graph first: Dynamo cannot follow a function that is made of equations
        run = torch.compile(make_fx(run)(*given), fullgraph=True, dynamic=False)
    return lambda: run(*given)


def _output(made: Any) -> Tensor:
    y = made[0]
    return y.data if isinstance(y, PackedSequence) else y
