"""Tensors that have lost their memory are not read; gradients that nobody wants are not computed."""

from typing import Any

import pytest

from bptt.errors import ShapeError
from torch_layers import (
    KINDS,
    beyond_nn,
    compiled_code,  # noqa: F401  a fixture
    pair,
    random,
    sequence,
    states,
    torch,
)

Plan: Any = pytest.importorskip("bptt.torch.native").Plan


@beyond_nn  # PyTorch's own crash, or give nan
@pytest.mark.parametrize("left", [0, 8], ids=["all", "some"])
@pytest.mark.parametrize("what", ["weight", "part of a flat one", "input"])
@pytest.mark.parametrize("moment", ["before", "between"])
def test_memory_that_was_given_back(moment: str, what: str, left: int) -> None:
    layer, _ = pair("LSTM", 3, 4)
    x, weight = sequence(layer, 5, 2), layer.weight_hh_l0
    layer(x)[0].sum().backward()  # what runs first has no hold of the memory
    tensor: Any = x if what == "input" else weight
    if what == "part of a flat one":
        whole = torch.randn(100, dtype=torch.float64)
        tensor.data = whole[30 : 30 + tensor.numel()].view_as(tensor)
    storage = tensor.untyped_storage()
    if moment == "before":
        storage.resize_(left)
        with pytest.raises(ShapeError, match=f"resized to {left} bytes; give it its memory back"):
            layer(x)
        return
    numbers, size = tensor.detach().clone(), storage.nbytes()
    y = layer(x)[0]
    storage.resize_(left)
    with pytest.raises(ShapeError, match=f"resized to {left} bytes"):
        y.sum().backward(retain_graph=True)
    storage.resize_(size)
    tensor.data.copy_(numbers)  # as what keeps parameters in parts does
    wanted = torch.autograd.grad(layer(x)[0].sum(), layer.weight_ih_l0)[0]
    assert torch.equal(torch.autograd.grad(y.sum(), layer.weight_ih_l0)[0], wanted)


@beyond_nn
@pytest.mark.parametrize("flags", ["none", "resets", "mask"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_wants_is_left_out(kind: str, flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, _ = pair(kind, 3, 4)
    on = torch.tensor([[1, 1], [1, 1], [0, 1], [1, 1], [1, 0]], dtype=torch.bool)
    beside = {"none": {}, "resets": {"mask": on, "resets": ~on}, "mask": {"mask": on}}[flags]
    assert_left_out(layer, layer, beside, monkeypatch)


@beyond_nn
def test_what_nobody_wants_is_left_out_where_it_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, _ = pair("GRU", 3, 4)
    assert_left_out(layer, torch.compile(layer, fullgraph=True, backend="aot_eager"), {}, monkeypatch)


def assert_left_out(layer: Any, run: Any, beside: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for gradients at the input, at the states, at both, at none: the weights' are the same bits."""
    ran, own = [], Plan.play

    def spied(plan: Any, which: str, names: Any, *more: Any, to_states: bool = True) -> Any:
        if which == "backward":
            ran.append(("dx" in names, to_states))
        return own(plan, which, names, *more, to_states=to_states)

    monkeypatch.setattr(Plan, "play", spied)
    found = []
    for wants_x, wants_h in ((True, True), (True, False), (False, True), (False, False)):
        hx = states(layer, 2)
        own_states = hx if isinstance(hx, tuple) else (hx,)
        for s in own_states:
            s.requires_grad_(wants_h)
        x = random(5, 2, 3, grad=wants_x)
        layer.zero_grad()
        run(x, hx, **beside)[0].square().sum().backward()
        assert ran.pop() == (wants_x, wants_h)
        found.append([p.grad for p in layer.parameters()])
        found[-1] += [t.grad for t in (x, *own_states) if t.requires_grad]
    count = len([*layer.parameters()])
    weights, dx, d_h = found[0][:count], found[0][count], found[0][count + 1 :]
    for grads, others in zip(found[1:], ([dx], d_h, []), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(grads, [*weights, *others], strict=True))
