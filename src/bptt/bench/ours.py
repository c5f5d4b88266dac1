"""bptt's own step, by a backend; and the product of large matrices that is the machine's limit."""

from functools import partial
from typing import cast

import numpy as np

from bptt.bench.contenders import Kind, Work
from bptt.bench.settings import DROPS, Setting
from bptt.kernels.backends import Backend, Precision, unroll
from bptt.nets.sample import probabilities
from bptt.nets.stack import layer_params
from bptt.nets.stepper import Stepper
from bptt.training.step import Step
from bptt.types import Array, Batch, Params
from bptt.zoo import get


def prepare(kind: Kind, setting: Setting, cell: str, option: str) -> Work:
    """Return what takes a step, or writes a token; `option` is the backend, and a precision."""
    backend, _, precision = option.partition(" ")
    if kind == "product":
        return _product(setting.H, backend)
    model = setting.model(cell, cast(Backend, backend), cast(Precision, precision or "float32"))
    params = model.init(np.random.default_rng(0))
    if kind == "layers":
        model, params = model.unmapped(params)
    tokens = setting.tokens()
    if kind == "cell":
        return _layer(setting, cell, layer_params(params), cast(Backend, backend))
    if kind == "sampling":
        rng, stepper = np.random.default_rng(1), Stepper(model, params)
        token = np.zeros(1, np.int64)

        def write() -> None:
            p = probabilities(stepper.read(token)[0])
            token[0] = min(int(np.searchsorted(np.cumsum(p), rng.random())), setting.V - 1)

        return write
    if kind == "lengths":
        mask = np.arange(setting.T)[:, None] < setting.row_lengths()

        def unequal() -> tuple[float, Array]:
            loss, grads, _ = model.loss_and_grads(params, tokens[:-1], tokens[1:], mask=mask)
            return loss, grads["embedding"]

        return unequal
    if kind == "layers":
        x = params["embedding"][tokens[:-1]]
        if setting.folds:
            x, params["layers.0.W"] = tokens[:-1], params["embedding"] @ params["layers.0.W"]
        wide = setting.T, setting.N, model.stack.width
        dy = np.random.default_rng(1).normal(size=wide).astype(np.float32)
        return lambda: model.stack.forward(params, x).backward(dy, overwrite=True)
    step, batch = Step(model, params), Batch(tokens[:-1], tokens[1:])
    drawn = np.random.default_rng(DROPS) if setting.recurrent_dropout else None

    def take() -> tuple[float, Array]:
        loss = step(batch, state=step.state or None, rng=drawn)
        return loss, step.grads["embedding"]

    return take


def _layer(setting: Setting, cell: str, params: Params, backend: Backend) -> Work:
    """Return one layer's forward and backward over arrays."""
    rng, made, H = np.random.default_rng(1), get(cell), setting.H
    given = [n for n in made.given if n != "x"]
    widths = [setting.E, made.width(made.states[0], H), *(made.width(n, H) for n in given)]
    x, dy, *more = (rng.uniform(size=(setting.T, setting.N, width)).astype(np.float32) for width in widths)
    params |= dict(zip(given, more, strict=True))
    return lambda: (None, unroll(made, params, x, backend=backend).backward(dy).inputs)


def _product(H: int, backend: str) -> Work:
    """Return a product of squares with H rows in float32, on all threads."""
    from bptt.kernels.ops.products import matmul

    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(H, H)).astype(np.float32) for _ in range(2))
    return partial(np.matmul if backend == "reference" else matmul, a, b, np.empty_like(a))
