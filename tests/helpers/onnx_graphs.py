"""ONNX graphs: models that are written as such, and what onnxruntime makes of them."""

from pathlib import Path
from typing import Any

import numpy as np

from bptt import Model
from bptt.exchange import onnx_file
from bptt.exchange.content import Content
from bptt.types import Array, Dtype, Generator, Params

T, N, H = 5, 3, 4
LENGTHS = np.array([5, 2, 4])


def network(
    cell: Any = "lstm", dtype: Dtype = np.float32, seed: int = 0, **options: Any
) -> tuple[Model, Params]:
    """Return a model of seven tokens, and parameters of which no two are alike."""
    asked = {"inputs": 7, "outputs": 7, "hidden": H, "embedding": 3} | options
    model, rng = Model(cell=cell, **asked), np.random.default_rng(seed)
    return model, {name: (0.7 * rng.normal(size=shape)).astype(dtype) for name, shape in model.shapes.items()}


def given(model: Model, rng: Generator, dtype: Dtype = np.float32) -> tuple[Array, Params]:
    """Return inputs and states to begin with."""
    x: Array = rng.integers(7, size=(T, N))
    if not model.token_inputs:
        x = rng.normal(size=(T, N, model.inputs)).astype(dtype)
    near = {name: float(name.endswith(".n")) for name in model.stack.state_names}  # a normaliser is none at 0
    shapes = {name: a.shape for name, a in model.stack.zero_states(N).items()}
    return x, {n: (at + 0.5 * rng.normal(size=shapes[n])).astype(dtype) for n, at in near.items()}


def ran(path: Path, feeds: dict[str, Array]) -> Params:
    """Return what onnxruntime gives, by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def written(folder: Path, model: Model, params: Params, **options: Any) -> Path:
    """Return the file of a model."""
    onnx_file.write(Content(model, params, None, {}), folder / "model.onnx", **options)
    return folder / "model.onnx"


def nodes(path: Path) -> list[str]:
    """Return the operations of a graph."""
    import onnx

    return [node.op_type for node in onnx.load(path).graph.node]


def same(a: Params, b: Params) -> bool:
    """Return whether two are the same bits by the same names in the same order."""
    return [*a] == [*b] and all(a[name].tobytes() == b[name].tobytes() for name in a)
