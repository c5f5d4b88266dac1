"""Cells whose states and parameters are called as a layer's own arrays are."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import bptt.torch as layers  # noqa: E402  once it is known that there is PyTorch
from torch_layers import compiled_code as compiled_code  # noqa: E402

D, H, T, N = 3, 4, 5, 2


ODD_NAMES = """
@bptt.cell(state="h b", params="x", scalars={"U_": 0.7})
def odd_names(a_b, a_o, h, b, x, U_):
    b = sigmoid(a_b + x) * b + silu(a_o) * U_
    h = tanh(b) + x
    return h, b
"""


@pytest.fixture
def cell(tmp_path: Path) -> str:
    (tmp_path / "odd.py").write_text(f"import bptt\n{ODD_NAMES}")
    return f"{tmp_path / 'odd.py'}:odd_names"


def gradients(layer: Any, given: Any, dy: Any) -> list[Any]:
    x, states = given
    y, _ = layer(x, states)
    leaves = [x, *states, *layer.parameters()]
    return list(torch.autograd.grad((y * dy).sum(), leaves))


def test_each_gradient_is_its_own(cell: str) -> None:
    torch.manual_seed(0)
    layer = layers.Cell(cell, D, H).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.1 * torch.randn_like(p))
    x, dy = torch.randn(T, N, D).double().requires_grad_(), torch.randn(T, N, H).double()
    states = tuple(torch.randn(1, N, H).double().requires_grad_() for _ in range(2))
    found = gradients(layer, (x, states), dy)
    assert "compiled" in layer.runs_on, layer.runs_on
    differentiable = gradients_by_operations(layer, x, states, dy)
    for a, b in zip(found, differentiable, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def gradients_by_operations(layer: Any, x: Any, states: Any, dy: Any) -> list[Any]:
    """Return the same by PyTorch's own operations, which second derivatives ask for."""
    leaves = [x, *states, *layer.parameters()]
    y, _ = layer(x, states)
    return list(torch.autograd.grad((y * dy).sum(), leaves, create_graph=True))
