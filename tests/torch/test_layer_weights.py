"""Weights from anywhere: loaded, edited in place, replaced by tensors, reparametrised, pruned, shared."""

import copy
import io
from typing import Any

import pytest

from bptt.errors import ShapeError
from torch_layers import (
    KINDS,
    assert_compiled,
    assert_near,
    assert_same,
    beyond_nn,
    compiled_code,  # noqa: F401  a fixture
    flat,
    gradients,
    pair,
    random,
    sequence,
    states,
    torch,
)

EACH = pytest.mark.parametrize("kind", KINDS)
BOTH = {"num_layers": 2, "bidirectional": True}


@EACH
def test_a_state_loads_either_way(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, **BOTH)
    x = sequence(ours, 4, 2)
    for assign in (False, True):
        for source, target in ((ours, theirs), (theirs, ours)):
            target(x)  # whatever a layer keeps of its weights is of the former ones
            with torch.no_grad():
                for parameter in source.parameters():
                    parameter.uniform_(-1, 1)
            stored = io.BytesIO()
            torch.save(source.state_dict(), stored)
            stored.seek(0)
            told = target.load_state_dict(torch.load(stored, weights_only=True), assign=assign)
            assert str(told) == "<All keys matched successfully>"
            assert_same(ours, theirs, x)
    with pytest.raises(RuntimeError, match="Missing key") as wanted:
        theirs.load_state_dict({})
    with pytest.raises(RuntimeError, match="Missing key") as got:
        ours.load_state_dict({})
    assert str(got.value) == str(wanted.value)


def scaled(layer: Any) -> None:
    layer.weight_hh_l0.data.mul_(1.5)


def replaced(layer: Any) -> None:
    layer.weight_ih_l1.data = layer.weight_ih_l1.detach() + 0.25


def cell_by_cell(layer: Any) -> None:
    layer.weight_hh_l0.data[1, 2] = 3.0


def by_numpy(layer: Any) -> None:
    layer.weight_hh_l0.detach().numpy()[2, 1] = -2.0


def by_a_bias(layer: Any) -> None:
    layer.bias_hh_l0.data[2] = 2.0


def by_a_view_kept(layer: Any) -> None:
    layer.kept = getattr(layer, "kept", None) or [layer.weight_hh_l1.detach()]
    layer.kept[0].add_(0.5)


def without_gradients(layer: Any) -> None:
    with torch.no_grad():
        layer.weight_ih_l0.add_(0.5)


def by_init(layer: Any) -> None:
    torch.manual_seed(4)
    torch.nn.init.orthogonal_(layer.weight_hh_l0)


def by_a_vector(layer: Any) -> None:
    vector = torch.nn.utils.parameters_to_vector(layer.parameters())
    torch.nn.utils.vector_to_parameters(vector.detach() * 0.5, layer.parameters())


def by_set(layer: Any) -> None:
    with torch.no_grad():
        layer.weight_hh_l0.set_(random(*layer.weight_hh_l0.shape, seed=9, grad=False))


def by_a_step(layer: Any) -> None:
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    layer(sequence(layer, 3, 2))[0].sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def by_a_fused_step(layer: Any) -> None:
    optimizer = torch.optim.SGD(layer.parameters(), 0.1, fused=True)
    layer(sequence(layer, 3, 2))[0].sum().backward()
    torch.nn.utils.clip_grad_norm_(layer.parameters(), 0.5)
    optimizer.step()
    optimizer.zero_grad()


EDITS = [
    scaled,
    replaced,
    cell_by_cell,
    by_numpy,
    by_a_bias,
    by_a_view_kept,
    without_gradients,
    by_init,
    by_a_vector,
    by_set,
    by_a_step,
    by_a_fused_step,
]


@EACH
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_between_calls_is_seen(kind: str, edit: Any) -> None:
    ours, theirs = pair(kind, 3, 4, 2)
    x, hx = sequence(ours, 4, 2), states(ours, 2)
    for again in (False, True):
        assert_same(ours, theirs, x, hx)
        before = ours(x)[0]
        with torch.no_grad():
            ours(x)
        edit(ours), edit(theirs)
        assert_compiled(ours)
        assert again or not torch.equal(ours(x)[0], before)
        with torch.no_grad():
            assert_near(ours(x), theirs(x))
        assert_same(ours, theirs, x, hx)


@EACH
def test_a_copy_is_a_layer_of_its_own(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, **BOTH)
    x = sequence(ours, 4, 2)
    before = ours(x)
    for twin in (copy.deepcopy(ours), copy.deepcopy(copy.deepcopy(ours))):
        assert_same(twin, theirs, x)
        with torch.no_grad():
            twin.weight_hh_l0.zero_()
        assert not torch.equal(twin(x)[0], before[0])
        assert_near(ours(x), before)
    with torch.no_grad():
        twin = copy.deepcopy(ours)
        ours.weight_ih_l0.zero_()
    assert_near(twin(x), before)
    shallow = copy.copy(theirs), copy.copy(ours)  # shares its weights
    theirs.load_state_dict(ours.state_dict())
    assert_same(shallow[1], shallow[0], x)


@EACH
def test_weights_that_are_no_parameters(kind: str) -> None:
    """What weight-drop code does: a tensor with a history in a weight's place, new at every call."""
    ours, theirs = pair(kind, 3, 4, **BOTH)
    x = sequence(ours, 4, 2)
    for layer in (ours, theirs):
        layer.raw = torch.nn.Parameter(layer.weight_hh_l0.detach().clone())
        del layer._parameters["weight_hh_l0"]
    for seed in range(3):
        both = []
        for layer in (ours, theirs):
            torch.manual_seed(seed)
            layer.weight_hh_l0 = torch.nn.functional.dropout(layer.raw, 0.5)
            outputs = flat(layer(x))
            both.append([*outputs, *gradients(outputs, [x, layer.raw, layer.weight_ih_l0])])
        assert_near(*both)
    with torch.no_grad():
        for layer in (ours, theirs):
            layer.weight_hh_l0 = layer.raw * 2
        assert_near(ours(x), theirs(x))


@EACH
def test_tensors_set_among_the_parameters(kind: str) -> None:
    """As another kind of weight-drop does: into ``_parameters``, behind the layer's back."""
    ours, theirs = pair(kind, 3, 4)
    x = sequence(ours, 4, 2)
    both = []
    for layer in (ours, theirs):
        raw = layer.weight_hh_l0
        layer._parameters["weight_hh_l0"] = raw * 0.5
        if (
            layer is theirs
        ):  # PyTorch's layer must be told; a layer that reads its weights at each call need not
            layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]
        outputs = flat(layer(x))
        both.append([*outputs, *gradients(outputs, [x, raw])])
    assert_near(*both)


PARAMETRIZATIONS = ["weight_norm", "spectral_norm", "orthogonal"]


@EACH
@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_parametrizations(kind: str, name: str) -> None:
    from torch.nn.utils import parametrizations, parametrize

    ours, theirs = pair(kind, 3, 4, **BOTH)
    x, hx = sequence(ours, 4, 2), states(ours, 2)
    kept = type(ours)
    for weight in ("weight_hh_l0", "weight_ih_l1_reverse"):
        for layer in (ours, theirs):
            torch.manual_seed(0)
            getattr(parametrizations, name)(layer, weight)
    theirs.load_state_dict(ours.state_dict())
    for layer in (ours, theirs):  # spectral norm iterates at each call in training
        layer.train(name != "spectral_norm")
    assert isinstance(ours, kept)
    assert_same(ours, theirs, x, hx)
    with parametrize.cached():
        assert_near(ours(x), theirs(x))
    optimizers = [torch.optim.SGD(layer.parameters(), 0.1) for layer in (ours, theirs)]
    for layer, optimizer in zip((ours, theirs), optimizers, strict=True):
        layer(x)[0].square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert_same(ours, theirs, x, hx)
    for layer in (ours, theirs):
        parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert_same(ours, theirs, x, hx)


@beyond_nn
@EACH
def test_a_parametrized_layer_is_copied_after_a_call(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4)
    for layer in (ours, theirs):
        torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    x = sequence(ours, 4, 2)
    ours(x)
    assert_same(copy.deepcopy(ours), theirs, x)


@EACH
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_rnn_weight_norm(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, 2)
    x = sequence(ours, 4, 2)
    before = ours(x)
    for layer in (ours, theirs):
        torch.nn.utils.weight_norm(layer, "weight_hh_l0")
    assert_near(ours(x), before)
    with torch.no_grad():
        for layer in (ours, theirs):
            layer.weight_hh_l0_g.mul_(2)
    assert_same(ours, theirs, x)
    assert not torch.equal(ours(x)[0], before[0])
    for layer in (ours, theirs):
        torch.nn.utils.remove_weight_norm(layer, "weight_hh_l0")
    assert_same(ours, theirs, x)


@EACH
def test_rnn_pruning(kind: str) -> None:
    from torch.nn.utils import prune

    ours, theirs = pair(kind, 3, 4, 2)
    x = sequence(ours, 4, 2)
    for layer in (ours, theirs):
        prune.l1_unstructured(layer, "weight_ih_l0", 0.5)
    assert (ours.weight_ih_l0 == 0).sum() == ours.weight_ih_l0.numel() // 2
    assert_same(ours, theirs, x)
    for layer in (ours, theirs):
        with torch.no_grad():
            layer.weight_ih_l0_orig.mul_(2)
    assert_same(ours, theirs, x)
    for layer in (ours, theirs):
        prune.remove(layer, "weight_ih_l0")
    assert_same(ours, theirs, x)


@EACH
def test_functional_call_takes_the_weights_that_are_given(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, **BOTH)
    x, hx = sequence(ours, 4, 2), states(ours, 2)
    before = ours(x, hx)
    given = {name: random(*p.shape, seed=k) for k, (name, p) in enumerate(ours.named_parameters())}
    some = {"weight_hh_l1_reverse": given["weight_hh_l1_reverse"], "bias_ih_l0": given["bias_ih_l0"]}
    for weights in (given, some, {k: w.detach() for k, w in given.items()}, given):
        both = []
        for layer in (ours, theirs):
            outputs = flat(torch.func.functional_call(layer, weights, (x, hx)))
            leaves = [t for t in [x, *flat(hx), *weights.values()] if t.requires_grad]
            both.append([*outputs, *gradients(outputs, leaves)])
        assert_near(*both)
        assert_near(ours(x, hx), before)
    doubled = {name: 2 * p for name, p in ours.named_parameters()}  # a history that leads to the layer's own
    assert_near(
        *(
            gradients(
                flat(
                    torch.func.functional_call(layer, {n: 2 * p for n, p in layer.named_parameters()}, (x,))
                ),
                list(layer.parameters()),
            )
            for layer in (ours, theirs)
        )
    )
    assert doubled.keys() == given.keys()


@EACH
def test_weights_shared_by_two_layers(kind: str) -> None:
    both = []
    for layer, other in zip(pair(kind, 4, 4), pair(kind, 4, 4), strict=True):
        for name in ("weight_hh_l0", "bias_ih_l0", "weight_ih_l0"):
            setattr(other, name, getattr(layer, name))
        layer.weight_ih_l0 = layer.weight_hh_l0 if kind != "LSTM" else layer.weight_ih_l0
        x = sequence(layer, 4, 2)
        outputs = flat(other(layer(x)[0]))
        both.append([*outputs, *gradients(outputs, [x, *layer.parameters()])])
    assert_near(*both)


@EACH
def test_what_wants_a_gradient_may_change_between_calls(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, 2)
    x = sequence(ours, 4, 2)
    for wants in (False, True, False, True):
        ours.requires_grad_(wants), theirs.requires_grad_(wants)
        assert_same(ours, theirs, x.detach())
        assert_same(ours, theirs, x)


@EACH
def test_gradients_of_each_sample(kind: str) -> None:
    """PyTorch's per-sample gradients put a tensor of another class in each weight's place."""
    from torch.nn.utils._per_sample_grad import call_for_per_sample_grads

    both = []
    for layer in pair(kind, 3, 4, batch_first=True):
        call_for_per_sample_grads(layer)(sequence(layer, 4, 2))[0].square().sum().backward()
        both.append([p.grad_sample for p in layer.parameters()])
    assert both[1][0].shape[0] == 2
    assert_near(*both)


@EACH
def test_tensors_of_another_class(kind: str) -> None:
    class Named(torch.Tensor):  # type: ignore[misc]
        """A subclass as users make them, which does nothing."""

    ours, theirs = pair(kind, 3, 4)
    x = sequence(ours, 4, 2)
    got, wanted = (layer(x.detach().as_subclass(Named)) for layer in (ours, theirs))
    assert type(got[0]) is type(wanted[0]) is Named
    assert_near(got, wanted)
    for layer in (ours, theirs):
        layer.weight_hh_l0 = torch.nn.Parameter(layer.weight_hh_l0.detach().as_subclass(Named))
    assert_near(ours(x)[0].as_subclass(torch.Tensor), theirs(x)[0].as_subclass(torch.Tensor))


@EACH
def test_an_average_of_models(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, 2)
    averaged = [torch.optim.swa_utils.AveragedModel(layer) for layer in (ours, theirs)]
    for average, layer in zip(averaged, (ours, theirs), strict=True):
        for _ in range(2):
            average.update_parameters(layer)
            by_a_step(layer)
    x = sequence(ours, 4, 2)
    assert_near(averaged[0](x), averaged[1](x))


@EACH
@pytest.mark.parametrize("change", ["type", "size"])
def test_what_is_of_another_form_in_the_backward_is_not_read(kind: str, change: str) -> None:
    ours, _ = pair(kind, 3, 4)
    y, _ = ours(sequence(ours, 20, 2))
    assert_compiled(ours)
    if change == "type":
        ours.float()
    else:
        ours.weight_hh_l0.data = ours.weight_hh_l0.data[:2]
    with pytest.raises(ShapeError, match="in the forward and is torch"):
        y.sum().backward()
