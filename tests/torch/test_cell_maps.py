"""``bptt.torch.Cell`` of cells with maps: matrices by PyTorch's operations, gradients by autograd."""

import copy
import io
from typing import Any

import numpy as np
import pytest

import bptt
from mapped_cells import CELLS, LSTM, made

torch = pytest.importorskip("torch")
import bptt.torch  # noqa: E402

ALL: list[dict[str, Any]] = [
    {"a_i": "orthogonal", "a_f": "cayley(0.5)", "a_o": "householder(2)", "a_g": "kronecker(2)"},
    {"a_i": "heads(2)", "a_f": "circulant", "a_o": "toeplitz", "a_g": "dale(0.5)"},
    {
        "a_i": "masked('lower(2)')",
        "a_f": "a_i",
        "a_o": "reservoir(0.9, 0.5, 1)",
        "W.a_g": "exp(M) / sum(exp(M), 1)",
    },
    {
        "a_i": "diagonal",
        "a_f": "legendre(3.0)",
        "a_o": "array([[1.0, 2, 3, 4]]) * M",
        "a_g": "inv(M + 9 * I)",
    },
    {
        "a_i": "softplus(M) - sqrt(abs(M) + 1)",
        "a_f": "stop(M) + relu(M)",
        "a_g": "lipschitz(0.6, 0.01)",
        "a_o": "isinstance * 2",
    },
]
MADE = [*CELLS[:3], *(made(LSTM, state="h c", maps=maps) for maps in ALL)]


@pytest.mark.parametrize("cell", MADE, ids=range(len(MADE)))
def test_a_layer_with_maps_has_the_gradients_that_are_derived(cell: Any) -> None:
    torch.manual_seed(0)
    layer = bptt.torch.Cell(cell, 4, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 4, dtype=torch.float64, requires_grad=True)
    y, _ = layer(x)
    assert layer.runs_on.startswith("compiled")
    dy = torch.randn_like(y)
    (y * dy).sum().backward()
    own = {name: getattr(layer, tensor) for name, tensor in layer._names[0].items()}
    params = {name: tensor.detach().numpy() for name, tensor in own.items()}
    run = bptt.unroll(cell, params, x.detach().numpy())
    grads = run.backward(dy.numpy())
    np.testing.assert_allclose(y.detach().numpy(), run.y, atol=1e-13)
    assert grads.inputs is not None
    np.testing.assert_allclose(x.grad.numpy(), grads.inputs, atol=1e-12)
    for name, tensor in own.items():
        got = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()
        np.testing.assert_allclose(got, grads.params[name], atol=1e-12, err_msg=name)


def test_layers_with_maps_are_modules_as_others() -> None:
    layer = bptt.torch.Cell(MADE[3], 3, 4, num_layers=2, bidirectional=True)
    assert {"U_a_i_M_l0", "U_a_o_V_l1_reverse", "U_a_g_A_l0"} <= {
        name for name, _ in layer.named_parameters()
    }
    x = torch.randn(5, 2, 3)
    wanted, _ = layer(x)
    held = io.BytesIO()
    torch.save(layer.state_dict(), held)
    held.seek(0)
    other = copy.deepcopy(layer)
    other.reset_parameters()
    assert not torch.equal(other(x)[0], wanted)
    other.load_state_dict(torch.load(held, weights_only=True))
    assert torch.equal(other(x)[0], wanted)
    with torch.no_grad():
        layer.U_a_i_M_l0.zero_()
    assert not torch.equal(layer(x)[0], wanted)  # nothing is kept of the matrices as they were
    mask = torch.ones(5, 2, dtype=torch.bool)
    assert layer(x, mask=mask, return_states=True)[0].shape == (5, 2, 8)


def test_a_layer_with_maps_is_compiled_whole() -> None:
    layer = bptt.torch.Cell(MADE[3], 3, 4)
    x = torch.randn(5, 2, 3)
    wanted, _ = layer(x)
    wanted.sum().backward()
    grad = layer.U_a_i_M_l0.grad.clone()
    layer.zero_grad()
    y, _ = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
    torch.testing.assert_close(y, wanted)
    y.sum().backward()
    torch.testing.assert_close(layer.U_a_i_M_l0.grad, grad)
