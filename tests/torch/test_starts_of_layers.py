"""Where the states of PyTorch's layers start: as learnt, or as the cell says; against the reference."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import bptt  # noqa: E402  once it is known that there is PyTorch
import bptt.torch as layers  # noqa: E402
from bptt.derive.functions import exp, sigmoid, tanh  # noqa: E402
from bptt.errors import ConfigError  # noqa: E402

T, N, D, H = 5, 3, 4, 6


@bptt.cell(state="h c n", start={"c": 0.5, "n": -1.5})
def begun(a_f, a_g, a_o, c, n):  # type: ignore[no-untyped-def]
    """Start elsewhere than at zero."""
    f, g = sigmoid(a_f), tanh(a_g)
    c = f * c + (1 - f) * g * n
    n = n / (1 + exp(-c))
    h = sigmoid(a_o) * tanh(c + n)
    return h, c, n


def given(seed: int = 0) -> tuple[Any, Any, Any]:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(T, N, D, generator=rng, dtype=torch.float64).requires_grad_()
    mask = torch.arange(T)[:, None] < torch.tensor([2, 5, 3])
    return x, mask, torch.rand(T, N, generator=rng) < 0.4


def layer_of(cell: Any, **options: Any) -> Any:
    torch.manual_seed(1)
    layer = layers.Cell(cell, D, H, num_layers=2, dtype=torch.float64, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return layer


def by_model(layer: Any, x: Any, mask: Any, resets: Any) -> Any:
    """Return outputs, final states and the gradients at the parameters of the reference's layers."""
    stack = bptt.nets.stack.Stack(
        layer.cell, D, H, 2, layer.bidirectional, learn_start=layer.learn_start, backend="reference"
    )
    names = {n: n.replace("start.", "start_") for n in stack.shapes()}
    names = {n: f"{o.rpartition('.')[2]}_l{n[7]}{'_reverse' * ('reverse' in n)}" for n, o in names.items()}
    params = {n: getattr(layer, o).detach().numpy() for n, o in names.items()}
    flags = {
        "mask": None if mask is None else mask.numpy(),
        "reset": None if resets is None else resets.numpy(),
    }
    run = stack.forward(params, x.detach().numpy(), **flags)
    dy = np.cos(np.arange(run.y.size)).reshape(run.y.shape)
    ds = {n: np.sin(np.arange(s.size)).reshape(s.shape) for n, s in run.states.items()}
    grads = run.backward(dy, ds)
    return run.y, list(run.states.values()), {names[n]: g for n, g in grads.params.items()}, grads.inputs


@pytest.mark.parametrize("flags", ["none", "mask", "resets", "both"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "learn_start"), [("lstm", True), (begun, False), (begun, True)])
@pytest.mark.parametrize("way", ["compiled", "loop"])
def test_layers_start_where_they_say(
    cell: Any, learn_start: bool, bidirectional: bool, flags: str, way: str
) -> None:
    layer = layer_of(cell, bidirectional=bidirectional, learn_start=learn_start)
    if way == "loop":
        layer.reason_against = lambda: "a test"
    x, mask, resets = given()
    mask, resets = (
        mask if flags in ("mask", "both") else None,
        resets if flags in ("resets", "both") else None,
    )
    y, states = layer(x, mask=mask, resets=resets)
    wanted_y, wanted_states, wanted, dx = by_model(layer, x, mask, resets)
    np.testing.assert_allclose(y.detach(), wanted_y, rtol=0, atol=1e-12)
    kinds = len(states)
    for k, state in enumerate(wanted_states):
        np.testing.assert_allclose(states[k % kinds][k // kinds].detach(), state, rtol=0, atol=1e-12)
    dy = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).view_as(y)
    ds = torch.sin(torch.arange(N * H, dtype=torch.float64)).view(N, H)
    ((y * dy).sum() + sum((s * ds).sum() for s in states)).backward()
    assert layer.runs_on.startswith("compiled") == (way == "compiled")
    np.testing.assert_allclose(x.grad, dx, rtol=0, atol=1e-11)
    found = {name: parameter.grad for name, parameter in layer.named_parameters()}
    assert {*found} == {*wanted}
    for name, gradient in wanted.items():
        assert gradient.any()
        np.testing.assert_allclose(found[name], gradient, rtol=0, atol=1e-11, err_msg=name)


def test_states_that_are_given_are_no_starts() -> None:
    layer, (x, _, _) = layer_of("lstm", learn_start=True), given()
    y, _ = layer(x, tuple(torch.ones(2, N, H, dtype=torch.float64) for _ in "hc"))
    y.sum().backward()
    assert layer.start_h_l0.grad is None or not layer.start_h_l0.grad.any()
    assert "learn_start=True" in repr(layer)


@pytest.mark.parametrize("cell", ["lstm", begun])
def test_packed_sequences_begin_there_and_so_does_what_is_compiled(cell: Any) -> None:
    layer, (x, mask, resets) = layer_of(cell, learn_start=True), given()
    lengths = mask.sum(0)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    found, _ = torch.nn.utils.rnn.pad_packed_sequence(layer(packed)[0])
    torch.testing.assert_close(found, layer(x, mask=mask)[0], rtol=0, atol=1e-12)
    found.sum().backward()
    wanted = {name: p.grad.clone() for name, p in layer.named_parameters()}
    layer.zero_grad()
    layer(x, mask=mask)[0].sum().backward()
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=0, atol=1e-11)
    eager = torch.autograd.grad(layer(x, resets=resets)[0].sum(), list(layer.parameters()))
    made = torch.compile(layer, backend="aot_eager")
    traced = torch.autograd.grad(made(x, resets=resets)[0].sum(), list(layer.parameters()))
    for a, b in zip(eager, traced, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_a_start_in_half_precision_is_as_far_as_it_goes() -> None:
    @bptt.cell(state="h m", start={"m": -1e38})
    def far(a_h, a_i, m):  # type: ignore[no-untyped-def]
        p = max(m, a_i)
        h = exp(m - p) + exp(a_i - p) * tanh(a_h)
        m = p
        return h, m

    layer = layers.Cell(far, D, H, dtype=torch.bfloat16)
    assert layer(torch.randn(T, N, D, dtype=torch.bfloat16))[0].isfinite().all()


def test_a_name_that_is_taken_is_told() -> None:
    @bptt.cell(state="h", params="start_h")
    def taken(a_h, start_h):  # type: ignore[no-untyped-def]
        return tanh(a_h + start_h)

    with pytest.raises(ConfigError, match="taken: learn_start has parameters start_h"):
        layers.Cell(taken, D, H, learn_start=True)
