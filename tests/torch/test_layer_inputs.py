"""What compiled code may not take for granted: weights' types, shapes and layouts, and whose memory it is."""

from typing import Any

import pytest

from torch_layers import (
    KINDS,
    assert_near,
    assert_same,
    compiled_code,  # noqa: F401  a fixture
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


def doubled(weight: Any) -> Any:
    return torch.cat([weight, weight])


def wider(weight: Any) -> Any:
    return torch.cat([weight, weight], 1)


WRONG: list[tuple[str, Any]] = [
    *(
        (name, torch.Tensor.float)
        for name in ("weight_hh_l0", "weight_ih_l1_reverse", "bias_ih_l0", "bias_hh_l1")
    ),
    *((name, doubled) for name in ("weight_hh_l0", "weight_ih_l0", "weight_hh_l1", "bias_hh_l0")),
    *((name, wider) for name in ("weight_hh_l0_reverse", "weight_ih_l1")),
    *((name, lambda weight: weight[:3].clone()) for name in ("weight_ih_l0", "weight_hh_l1", "bias_ih_l1")),
    *((name, lambda weight: weight[:, :2].clone()) for name in ("weight_hh_l0", "weight_ih_l1")),
    ("weight_hh_l1", lambda weight: weight.to("meta")),
    ("weight_hh_l0", lambda weight: weight.t()[:2].flatten()),
]


@EACH
@pytest.mark.parametrize(("name", "change"), WRONG)
def test_a_weight_that_does_not_fit_is_refused(kind: str, name: str, change: Any) -> None:
    """PyTorch's layer refuses it; memory that is not the weight's is never read."""
    for layer in pair(kind, 3, 4, **BOTH):
        setattr(layer, name, torch.nn.Parameter(change(getattr(layer, name).detach())))
        with pytest.raises((RuntimeError, ValueError)):
            layer(sequence(layer, 5, 2))
        with torch.no_grad(), pytest.raises((RuntimeError, ValueError)):
            layer(sequence(layer, 5, 2), states(layer, 2))


@EACH
@pytest.mark.parametrize(("name", "size"), [("hidden_size", 5), ("hidden_size", 3)])
def test_a_size_that_is_changed_later_is_refused(kind: str, name: str, size: int) -> None:
    for layer in pair(kind, 3, 4, 2):
        layer(sequence(layer, 5, 2))
        setattr(layer, name, size)
        for given in ((), (states(layer, 2),)):
            with pytest.raises((RuntimeError, ValueError)):
                layer(sequence(layer, 5, 2), *given)


@EACH
def test_weights_of_any_layout(kind: str) -> None:
    layouts: list[Any] = [
        lambda w: w.t().contiguous().t(),
        lambda w: torch.stack([w, w], -1)[..., 1],
        lambda w: w[:1].expand_as(w),
        lambda w: w.flatten()[:1].expand(w.numel()).view_as(w),
        lambda w: torch._neg_view(w),
        lambda w: torch.cat([w.flatten()[:1], w.flatten()])[1:].view_as(w),
    ]
    for layout in layouts:
        for name in ("weight_hh_l0", "weight_ih_l1", "bias_hh_l0", "bias_ih_l1"):
            ours, theirs = pair(kind, 3, 4, 2)
            for layer in (ours, theirs):
                made = layout(getattr(layer, name).detach()) if "bias" not in name else None
                if made is None:
                    bias = getattr(layer, name).detach()
                    made = torch.stack([bias, bias], -1)[:, 1]
                setattr(layer, name, torch.nn.Parameter(made))
            assert_same(ours, theirs, sequence(ours, 5, 2), states(ours, 2))


@EACH
def test_a_bias_of_one_number_is_added_to_all(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, 2)
    for layer in (ours, theirs):
        layer.bias_ih_l0 = torch.nn.Parameter(layer.bias_ih_l0.detach()[:1].clone())
    assert_same(ours, theirs, sequence(ours, 5, 2))


@EACH
def test_inputs_with_their_sign_aside(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, 2)
    x = torch._neg_view(sequence(ours, 5, 2).detach())
    hx = torch._neg_view(random(2, 2, 4, grad=False))
    state = (hx, hx) if kind == "LSTM" else hx
    assert_near(ours(x), theirs(x))
    assert_near(ours(x, state), theirs(x, state))
    spectrum = torch.complex(random(5, 2, 3, grad=False), random(5, 2, 3, seed=2, grad=False))
    assert_near(ours(spectrum.conj().imag), theirs(spectrum.conj().imag))


@EACH
@pytest.mark.parametrize("dtype", [torch.long, torch.bool, torch.complex128, torch.float32, torch.float16])
def test_inputs_of_another_type_are_refused_in_pytorchs_words(kind: str, dtype: Any) -> None:
    ours, theirs = pair(kind, 3, 4, 2)
    x = torch.ones(5, 2, 3, dtype=dtype)
    with pytest.raises(ValueError, match="RNN input dtype") as wanted:
        theirs(x)
    with pytest.raises(ValueError, match="RNN input dtype") as got:
        ours(x)
    assert str(got.value) == str(wanted.value)


@EACH
def test_numbers_that_do_not_lie_one_after_the_other_are_refused_in_pytorchs_words(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4)
    x = torch.ones(5, 2, 3, dtype=torch.float64).to_sparse()
    with pytest.raises(RuntimeError) as wanted:
        theirs(x)
    with pytest.raises(RuntimeError) as got:
        ours(x)
    assert str(got.value) == str(wanted.value)


@EACH
def test_large_layers_and_what_is_held_of_them(kind: str) -> None:
    """What is large lies in memory that is used again: never while a view of it, or an array, is alive."""
    ours, theirs = pair(kind, 33, 70, dtype=torch.float32, bidirectional=True)
    x = sequence(ours, 40, 31)
    got, wanted = (values_and_gradients(layer, x, states(layer, 31)) for layer in (ours, theirs))
    assert_near(got, wanted, 1e-4)
    kept = got[0][3, :2].detach(), got[0].detach().numpy()[5, 1], got[3][:1, :2]
    copies = kept[0].clone(), kept[1].copy(), kept[2].clone()
    del got
    for seed in range(3):
        again = values_and_gradients(ours, sequence(ours, 40, 31, seed=5 + seed), states(ours, 31))
        for each, copied in zip(kept, copies, strict=True):
            assert (each == copied).all()
    assert_near(values_and_gradients(ours, x, states(ours, 31)), wanted, 1e-4)
    del again
    with torch.no_grad():
        assert_near(ours(x), theirs(x), 1e-4)


@EACH
def test_graphs_that_live_side_by_side(kind: str) -> None:
    """Many forwards before any backward, in another order; each keeps what its own backward wants."""
    ours, theirs = pair(kind, 33, 70, dtype=torch.float32)
    inputs = [sequence(ours, 40, 31, seed=k) for k in range(4)]
    outputs = [flat(ours(x)) for x in inputs]
    for k in (2, 0, 3, 1):
        wanted = gradients(flat(theirs(inputs[k])), [inputs[k], *theirs.parameters()])
        assert_near(gradients(outputs[k], [inputs[k], *ours.parameters()]), wanted, 1e-4)
