"""Autograd about the layers: which gradients are wanted, what is changed between, hooks, checkpoints."""

import gc
import itertools
import re
import threading
import weakref
from typing import Any

import pytest

from torch_layers import (
    KINDS,
    assert_near,
    assert_same,
    compiled_code,  # noqa: F401  a fixture
    copied,
    cotangents,
    flat,
    gradients,
    pair,
    random,
    sequence,
    states,
    torch,
    values_and_gradients,
)

EACH = pytest.mark.parametrize("kind", KINDS)
BOTH = {"num_layers": 2, "bidirectional": True}


@EACH
def test_only_what_wants_a_gradient_has_one(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, **BOTH)
    x, hx = sequence(ours, 4, 2), states(ours, 2)
    frozen = ["", "weight", "bias", "weight_hh", "l0", "_reverse", "weight_ih_l0", "bias_hh_l1"]
    for which, wants_x, wants_hx in itertools.product(frozen, [True, False], [True, False]):
        for layer in (ours, theirs):
            for name, parameter in layer.named_parameters():
                parameter.requires_grad_(which not in name)
        given = [x.detach().requires_grad_(wants_x), *[h.detach().requires_grad_(wants_hx) for h in flat(hx)]]
        state = tuple(given[1:]) if kind == "LSTM" else given[1]
        assert_same(ours, theirs, given[0], state)
        assert_same(ours, theirs, given[0])
    if kind == "LSTM":
        assert_same(ours, theirs, x, (hx[0], hx[1].detach()))
        assert_same(ours, theirs, x, (hx[0].detach(), hx[1]))


@EACH
def test_one_output_alone_has_its_gradient(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, **BOTH)
    both = []
    for layer in (ours, theirs):
        x, hx = sequence(layer, 4, 2), states(layer, 2)
        leaves = [x, *flat(hx), *layer.parameters()]
        outputs = flat(layer(x, hx))
        roots = [*outputs, outputs[0][2, 1], outputs[1][0], outputs[1][-1, :, 1], outputs[0][-1, :, 4:]]
        both.append(
            [
                torch.autograd.grad(r.sin().sum(), leaves, retain_graph=True, materialize_grads=True)
                for r in roots
            ]
        )
    assert_near(*both)


@EACH
@pytest.mark.parametrize("options", [{}, BOTH], ids=["one", "both"])
def test_gradients_of_any_layout_at_the_outputs(kind: str, options: Any) -> None:
    ours, theirs = pair(kind, 3, 4, **options)
    x, hx = sequence(ours, 4, 2), states(ours, 2)
    made: list[Any] = [
        lambda o: torch.ones((), dtype=o.dtype).expand_as(o),  # what sum().backward() hands over
        lambda o: torch.zeros_like(o),
        lambda o: cotangents([o.transpose(0, -1)])[0].transpose(0, -1),
        lambda o: cotangents([o])[0].flip(0)[..., :1].expand_as(o),
        lambda o: torch._neg_view(cotangents([o])[0]),  # as of an imaginary part
    ]
    for make in made:
        both = []
        for layer in (ours, theirs):
            outputs = flat(layer(x, hx))
            leaves = [x, *flat(hx), *layer.parameters()]
            both.append(torch.autograd.grad(outputs, leaves, [make(o) for o in outputs]))
        assert_near(*both)


@EACH
def test_inputs_that_are_expanded_turned_or_the_same(kind: str) -> None:
    ours, theirs = pair(kind, 3, 3, 2)
    layouts: list[Any] = [
        lambda t: t[:, :1].expand(4, 5, 3),
        lambda t: t[:1, :, :1].expand(4, 5, 3),
        lambda t: t.mT.contiguous().mT,
        lambda t: t.transpose(0, 1).contiguous().transpose(0, 1),
        lambda t: t.flip(0).repeat(2, 1, 1)[::2],
    ]
    for layout in layouts:
        both = []
        for layer in (ours, theirs):
            base, first = random(4, 5, 3), random(1, 1, 3, seed=4)
            h = first.expand(2, 5, 3)
            outputs = flat(layer(layout(base), (h, h) if kind == "LSTM" else h))
            both.append([*outputs, *gradients(outputs, [base, first, *layer.parameters()])])
        assert_near(*both)


@EACH
def test_outputs_may_be_changed_in_place(kind: str) -> None:
    """Dropout in place, a mask, a state set to zero: each as with PyTorch's, and no other is changed."""
    ours, theirs = pair(kind, 3, 4, **BOTH)
    both = []
    for layer in (ours, theirs):
        x = sequence(layer, 4, 2)
        results = []
        for at in range(len(flat(layer(x)))):
            outputs = flat(layer(x))
            before = copied(outputs)
            outputs[at].mul_(random(*outputs[at].shape, seed=8, grad=False))
            for k, (output, was) in enumerate(zip(outputs, before, strict=True)):
                assert torch.equal(output, was) is (k != at)
            results.append(gradients(outputs, [x, *layer.parameters()]))
        both.append(results)
    assert_near(*both)


@EACH
def test_what_a_backward_needs_may_not_be_changed_before_it(kind: str) -> None:
    """Never a wrong gradient: PyTorch's error, or the gradient of what was computed."""
    for name in ["x", "hx", "weight_ih_l0", "weight_hh_l0", "weight_hh_l1_reverse", "bias_ih_l0"]:
        ours, theirs = pair(kind, 3, 4, **BOTH)
        x, hx = sequence(ours, 4, 2), states(ours, 2)
        right = gradients(flat(theirs(x, hx)), [x, *theirs.parameters()])
        outputs = flat(ours(x, hx))
        with torch.no_grad():
            {"x": x, "hx": flat(hx)[0], **dict(ours.named_parameters())}[name].mul_(2)
        got, told = None, ""
        try:
            got = gradients(outputs, [x, *ours.parameters()])
        except RuntimeError as error:
            told = str(error)
        if got is None:
            assert re.search("modified (by an )?inplace", told), name
        else:
            assert_near(got, right)


@EACH
def test_inputs_are_left_as_they_were(kind: str) -> None:
    ours, _ = pair(kind, 3, 4, **BOTH)
    given = sequence(ours, 4, 2), states(ours, 2)
    before, weights = copied(given), copied(ours.state_dict())
    values_and_gradients(ours, *given)
    assert_near(given, before)
    assert_near(ours.state_dict(), weights)


@EACH
def test_without_gradients_the_values_are_the_same(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, **BOTH)
    x, hx = sequence(ours, 4, 2), states(ours, 2)
    wanted = theirs(x.detach(), hx)
    for without in (torch.no_grad, torch.inference_mode):
        with without():
            got = flat(ours(x, hx))
            assert not any(o.requires_grad for o in got)
            assert got[0].is_inference() is (without is torch.inference_mode)
        torch.testing.assert_close(got, [o.detach() for o in flat(wanted)])
    with torch.no_grad(), torch.enable_grad():
        assert_same(ours, theirs, x, hx)


@EACH
def test_second_gradients_are_pytorchs(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, **BOTH)
    both = []
    for layer in (ours, theirs):
        x, hx = sequence(layer, 4, 2), states(layer, 2)
        leaves = [x, *flat(hx), *layer.parameters()]
        outputs = flat(layer(x, hx))
        given = [g.requires_grad_() for g in cotangents(outputs)]
        first = torch.autograd.grad(outputs, leaves, given, create_graph=True)
        second = gradients(list(first), [*leaves, *given], create_graph=True)
        third = torch.autograd.grad(sum(g.square().sum() for g in second if g is not None), x)
        both.append([*first, *second, *third])
    assert_near(both[0], both[1], 1e-10)


@EACH
def test_a_gradient_penalty_trains(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4)
    for layer in (ours, theirs):
        x = sequence(layer, 4, 2)
        loss = layer(x)[0].square().sum()
        (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        (loss + slope.square().sum()).backward()
    assert_near([p.grad for p in ours.parameters()], [p.grad for p in theirs.parameters()])


@EACH
def test_checkpoints_and_offloading(kind: str) -> None:
    from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
    from torch.utils.checkpoint import checkpoint

    ours, theirs = pair(kind, 3, 4, dropout=0.3, **BOTH)
    x, hx = sequence(ours, 4, 2), states(ours, 2)
    kept: list[Any] = []

    def packed(tensor: Any) -> Any:
        kept.append(tensor.detach().clone())
        return len(kept) - 1

    def plainly(layer: Any) -> Any:
        return layer(x, hx)

    def hooked(layer: Any) -> Any:
        with saved_tensors_hooks(packed, kept.__getitem__):
            return layer(x, hx)

    def offloaded(layer: Any) -> Any:
        with save_on_cpu():
            return layer(x, hx)

    ways: list[Any] = [
        plainly,
        hooked,
        offloaded,
        lambda layer: checkpoint(layer, x, hx, use_reentrant=False),
    ]
    for way in ways:
        both = []
        for layer in (ours, theirs):
            torch.manual_seed(3)
            outputs = flat(way(layer))
            both.append([*outputs, *gradients(outputs, [x, *layer.parameters()])])
        assert_near(*both)
    assert kept
    for layer in (ours, theirs):
        torch.manual_seed(3)
        checkpoint(lambda x, layer=layer: layer(x)[0], x, use_reentrant=True).square().sum().backward()
    assert_near([p.grad for p in ours.parameters()], [p.grad for p in theirs.parameters()])


@EACH
def test_hooks_see_what_pytorchs_layers_show(kind: str) -> None:
    both = []
    for layer in pair(kind, 3, 4, **BOTH):
        seen: list[Any] = []
        layer.register_forward_pre_hook(lambda _, given, seen=seen: seen.append([*flat(given)]))
        layer.register_forward_hook(
            lambda _, given, gave, seen=seen: seen.append([*flat(given), *flat(gave)])
        )
        layer.register_full_backward_hook(
            lambda _, into, out, seen=seen: seen.append([g for g in (*into, *flat(out)) if g is not None])
        )
        layer.weight_hh_l0.register_hook(lambda g, seen=seen: seen.append([g]))
        layer.weight_hh_l0.register_hook(lambda g: 2 * g)
        layer.weight_hh_l0.register_post_accumulate_grad_hook(lambda p, seen=seen: seen.append([p.grad]))
        x = sequence(layer, 4, 2)
        output, last = layer(x, states(layer, 2))
        output.register_hook(lambda g, seen=seen: seen.append([g]))
        output.retain_grad()
        (output.square().sum() + flat(last)[0].sum()).backward()
        both.append([seen, x.grad, output.grad, [p.grad for p in layer.parameters()]])
    assert_near(*both)


@EACH
@pytest.mark.filterwarnings("ignore:Anomaly Detection", "ignore:Error detected in")
def test_anomalies_are_found(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4)
    x = sequence(ours, 4, 2)
    with torch.autograd.detect_anomaly():
        assert_same(ours, theirs, x)
        with torch.no_grad():
            ours.weight_hh_l0.fill_(float("nan"))
        with pytest.raises(RuntimeError, match="returned nan values"):
            ours(x)[0].sum().backward()


@EACH
def test_numbers_that_are_none_or_without_bound(kind: str) -> None:
    """Infinite and missing numbers go where PyTorch's go, and to no other row or step."""
    for dtype in (torch.float64, torch.float32):
        ours, theirs = pair(kind, 3, 4, dtype=dtype, **BOTH)
        for bad in (float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 1e5, 1e-42, -0.0):
            x = sequence(ours, 4, 3).detach()
            x[1, 0, 2] = bad
            got, wanted = (flat(layer(x, states(layer, 3))) for layer in (ours, theirs))
            for a, b in zip(got, wanted, strict=True):
                torch.testing.assert_close(a, b, equal_nan=True)
                assert not a[:, 1:].isnan().any()
        if kind != "RNN-relu":
            x.fill_(1e4)  # gates that are saturated: no gradient is missing
            assert_same(ours, theirs, x.requires_grad_(), states(ours, 3))


@EACH
def test_nothing_is_kept_of_a_graph_that_is_gone(kind: str) -> None:
    ours, _ = pair(kind, 3, 4, **BOTH)
    gc.collect()
    gc.disable()  # what is let go is let go without it
    try:
        x = sequence(ours, 4, 2).mul(1)
        outputs = ours(x, states(ours, 2))
        watched = [weakref.ref(t) for t in (x, *flat(outputs))]
        sum(o.sum() for o in flat(outputs)).backward()
        del x, outputs
        assert [w() for w in watched] == [None] * len(watched)
        outputs = ours(sequence(ours, 4, 2))
        watched = [weakref.ref(t) for t in flat(outputs)]
        del outputs
        assert [w() for w in watched] == [None] * len(watched)
    finally:
        gc.enable()


@EACH
def test_states_that_are_carried_from_chunk_to_chunk(kind: str) -> None:
    """Truncated backpropagation: detached states; and one graph through all chunks."""
    ours, theirs = pair(kind, 3, 4, 2)
    both = []
    for layer in (ours, theirs):
        x = sequence(layer, 9, 2)
        whole = layer(x)
        state, parts = None, []
        for step in range(9):
            output, state = layer(x[step : step + 1], state)
            parts.append(output)
        leaves = [x, *layer.parameters()]
        assert_near([torch.cat(parts), state], whole)
        assert_near(gradients([torch.cat(parts), *flat(state)], leaves), gradients(flat(whole), leaves))
        optimizer = torch.optim.SGD(layer.parameters(), 0.1)
        state, losses = None, []
        for chunk in x.detach().split(3):
            state = None if state is None else copied(state)
            output, state = layer(chunk, state)
            loss = output.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        both.append([*losses, *layer.parameters()])
    assert_near(*both)


@EACH
def test_a_backward_in_another_thread(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4)
    x = sequence(ours, 4, 2)
    got: list[Any] = []
    outputs = flat(ours(x))
    thread = threading.Thread(target=lambda: got.extend(gradients(outputs, [x, *ours.parameters()])))
    thread.start()
    thread.join()
    assert_near(got, gradients(flat(theirs(x)), [x, *theirs.parameters()]))
