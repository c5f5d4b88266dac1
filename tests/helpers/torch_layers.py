"""Recurrent layers under test, each beside PyTorch's own with the same weights.

BPTT_JUDGED=torch.nn puts PyTorch's layers under test, which tries the tests themselves: what fails with it is
what PyTorch's layers do not do (those tests are marked ``beyond_nn``).
"""

import os
from importlib import import_module
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")
pytree: Any = import_module("torch.utils._pytree")

torch.set_num_threads(1)  # the layers are small, and the other cores are other tests'
JUDGED = os.environ.get("BPTT_JUDGED", "bptt.torch")
layers: Any = import_module(JUDGED)

KINDS = ("LSTM", "GRU", "RNN", "RNN-relu")
TOLERANCE = {"float64": 1e-12, "float32": 2e-5, "bfloat16": 3e-2, "float16": 4e-3}

beyond_nn = pytest.mark.skipif(JUDGED == "torch.nn", reason="PyTorch's own layers do not do it")


@pytest.fixture(autouse=True)
def compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have compiled code run however short the sequence: what is asked here is whether it is right."""
    if JUDGED != "torch.nn":
        for name in ("SHORT", "SHORTEST"):
            monkeypatch.setattr(f"{JUDGED}.recurrent.{name}", 0)


def pair(
    kind: str, *sizes: int, dtype: Any = torch.float64, seed: int = 0, **settings: Any
) -> tuple[Any, Any]:
    """Return the layer under test and PyTorch's, with the same weights."""
    name, _, nonlinearity = kind.partition("-")
    settings |= {"nonlinearity": nonlinearity} if nonlinearity else {}
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*sizes, dtype=dtype, **settings)
    ours = getattr(layers, name)(*sizes, dtype=dtype, **settings)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def random(*shape: int, seed: int = 1, dtype: Any = torch.float64, grad: bool = True) -> Any:
    """Return standard normal numbers that want a gradient."""
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.to(dtype).requires_grad_(grad)


def states(layer: Any, rows: int | None, seed: int = 2) -> Any:
    """Return hx for so many rows; None: for one unbatched sequence."""
    count = layer.num_layers * (1 + layer.bidirectional)
    batch = () if rows is None else (rows,)
    dtype = layer.weight_ih_l0.dtype
    h = random(count, *batch, layer.proj_size or layer.hidden_size, seed=seed, dtype=dtype)
    if layer.mode != "LSTM":
        return h
    return h, random(count, *batch, layer.hidden_size, seed=seed + 1, dtype=dtype)


def sequence(layer: Any, steps: int, rows: int, seed: int = 1) -> Any:
    """Return an input of so many steps and rows, in the layer's order."""
    order = (rows, steps) if layer.batch_first else (steps, rows)
    return random(*order, layer.input_size, seed=seed, dtype=layer.weight_ih_l0.dtype)


def copied(arguments: Any) -> Any:
    """Return the same arguments as leaves of their own."""
    return pytree.tree_map_only(
        torch.Tensor, lambda t: t.detach().clone().requires_grad_(t.requires_grad), arguments
    )


def flat(result: Any) -> list[Any]:
    """Return output, h_n and, of an LSTM, c_n; of a packed output its data."""
    return [t for t in pytree.tree_leaves(result) if torch.is_tensor(t) and t.is_floating_point()]


def cotangents(outputs: list[Any], seed: int = 3) -> list[Any]:
    """Return a random gradient at each output."""
    return [
        random(*output.shape, seed=seed + k, dtype=output.dtype, grad=False)
        for k, output in enumerate(outputs)
    ]


def gradients(outputs: list[Any], leaves: list[Any], seed: int = 3, **options: Any) -> list[Any]:
    """Return the gradients at leaves under random gradients at those outputs that have a history."""
    paired = [(o, g) for o, g in zip(outputs, cotangents(outputs, seed), strict=True) if o.requires_grad]
    if not (paired and leaves):
        return []
    roots, given = zip(*paired, strict=True)
    return list(torch.autograd.grad(roots, leaves, given, allow_unused=True, **options))


def values_and_gradients(layer: Any, *arguments: Any, **options: Any) -> list[Any]:
    """Return what a layer gives, and the gradient at each argument and parameter that wants one."""
    outputs = flat(layer(*arguments, **options))
    weights = [weight for _, weight in sorted(layer.named_parameters())]
    leaves = [t for t in [*flat(arguments), *weights] if t.requires_grad and t.is_leaf]
    return [*outputs, *gradients(outputs, leaves)]


def assert_near(got: Any, wanted: Any, tolerance: Any = None) -> None:
    """Assert that tensors, in sequences of sequences, are equal: shapes, types, values by the largest."""
    paired = zip(pytree.tree_leaves(got), pytree.tree_leaves(wanted), strict=True)
    for at, (ours, theirs) in enumerate(paired):
        if not torch.is_tensor(theirs):
            assert ours == theirs, at
            continue
        for kind in ("shape", "dtype", "device", "requires_grad"):
            assert getattr(ours, kind) == getattr(theirs, kind), (at, kind)
        most = tolerance or TOLERANCE.get(str(theirs.dtype).removeprefix("torch."), 0)
        size, error = (t.detach().abs().max().item() if t.numel() else 0.0 for t in (theirs, ours - theirs))
        assert error <= most * max(1.0, size), (at, error)


def assert_compiled(layer: Any) -> None:
    """Assert that what just ran was compiled code, where there is some for it."""
    assert JUDGED == "torch.nn" or layer.proj_size or layer.runs_on.startswith("compiled")


def assert_same(
    ours: Any, theirs: Any, *arguments: Any, tolerance: float | None = None, **options: Any
) -> None:
    """Assert that two layers give the same values and gradients for arguments."""
    got, wanted = (values_and_gradients(layer, *copied(arguments), **options) for layer in (ours, theirs))
    assert_near(got, wanted, tolerance)
