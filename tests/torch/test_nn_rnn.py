"""What PyTorch's test_nn.py asks of its recurrent layers, asked of the layers under test.

The names say PyTorch's: ``test_rnn_args_check`` is test_nn.py's of that name, told in own words and against
PyTorch's layer of the same weights.
"""

import copy
import io
import re
from typing import Any

import pytest

from torch_layers import (
    KINDS,
    assert_near,
    assert_same,
    compiled_code,  # noqa: F401  a fixture
    copied,
    flat,
    layers,
    pair,
    random,
    sequence,
    states,
    torch,
    values_and_gradients,
)

EACH = pytest.mark.parametrize("kind", KINDS)
NAMES = pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


@NAMES
@pytest.mark.parametrize("bidirectional", [False, True])
def test_same_seed_same_weights(name: str, bidirectional: bool) -> None:
    settings: dict[str, Any] = {"num_layers": 2, "bidirectional": bidirectional}
    several: list[dict[str, Any]] = [{}, {"bias": False}, *([{"proj_size": 2}] if name == "LSTM" else [])]
    for more in several:
        torch.manual_seed(7)
        ours = getattr(layers, name)(3, 5, **settings, **more)
        after = torch.rand(1)
        torch.manual_seed(7)
        theirs = getattr(torch.nn, name)(3, 5, **settings, **more)
        assert torch.equal(after, torch.rand(1))
        assert [*ours.state_dict()] == [*theirs.state_dict()]
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
        assert [[n.shape for n in w] for w in ours.all_weights] == [
            [n.shape for n in w] for w in theirs.all_weights
        ]
        torch.manual_seed(8)
        ours.reset_parameters()
        torch.manual_seed(8)
        theirs.reset_parameters()
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@EACH
def test_rnn_initial_hidden_state(kind: str) -> None:
    ours, _ = pair(kind, 6, 5, 2)
    x = sequence(ours, 4, 3)
    nothing = torch.zeros(2, 3, 5, dtype=torch.float64)
    hx = (nothing, nothing) if kind == "LSTM" else nothing
    assert_near(values_and_gradients(ours, x), values_and_gradients(ours, x, hx))
    assert_near(ours(x, None), ours(x))
    assert_near(ours(input=x, hx=hx), ours(x))


@EACH
def test_rnn_args_check(kind: str) -> None:
    """Each size that is wrong, of input and of states, is a RuntimeError in the very words of PyTorch."""
    right = {"x": [6, 4, 3], "h": [2, 4, 5], "c": [2, 4, 5]}
    faults = [(name, axis) for name in right for axis in range(3) if (name, axis) != ("x", 0)]
    for batch_first in (False, True):
        ours, theirs = pair(kind, 3, 5, 2, batch_first=batch_first)
        for name, axis in faults:
            shapes = {key: list(shape) for key, shape in right.items()}
            shapes[name][axis] = 7
            x, h, c = (random(*shape) for shape in shapes.values())
            x = x.transpose(0, 1) if batch_first else x
            if kind == "LSTM" or name != "c":
                assert_refused_alike(ours, theirs, x, (h, c) if kind == "LSTM" else h)


def assert_refused_alike(ours: Any, theirs: Any, *arguments: Any) -> None:
    with pytest.raises((RuntimeError, ValueError)) as wanted:
        theirs(*arguments)
    with pytest.raises(type(wanted.value), match=re.escape(str(wanted.value))):
        ours(*arguments)


@EACH
def test_wrong_arguments_of_other_kinds_are_refused_as_pytorch_refuses_them(kind: str) -> None:
    ours, theirs = pair(kind, 3, 5)
    hx = states(ours, 2)
    for x in (
        random(3),
        random(2, 2, 2, 3),
        random(2, 2, 3, dtype=torch.float32),
        torch.ones(4, 2, 3).long(),
    ):
        assert_refused_alike(ours, theirs, x)
    assert_refused_alike(ours, theirs, random(4, 3), hx)  # unbatched input, batched states
    assert_refused_alike(ours, theirs, random(4, 2, 3), states(ours, None))  # and the other way round
    accidents = (RuntimeError, ValueError, TypeError, AttributeError, IndexError)
    for given in ((None,), (random(4, 2, 3), hx[0] if kind == "LSTM" else (hx, hx))):
        with pytest.raises(accidents):
            ours(*given)
    if kind == "LSTM":
        assert_refused_alike(ours, theirs, random(4, 2, 3), (hx[0], hx[1][:, :1]))
    else:
        assert_refused_alike(ours, theirs, random(4, 2, 3), hx.float())


@NAMES
def test_constructors_refuse_what_pytorchs_do(name: str) -> None:
    wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((3, 5), {"dropout": 1.5}),
        ((3, 5), {"dropout": True}),
        ((3, 5), {"dropout": "0.5"}),
        ((3, 5), {"num_layers": 0}),
        ((3, -1), {}),
        ((3, 5), {"proj_size": 5}),
        ((3, 5), {"nonlinearity": "sigmoid"}),
        ((3, 5), {"unknown": 1}),
        ((3,), {}),
    ]
    for arguments, settings in wrong:
        with pytest.raises((ValueError, TypeError)) as theirs:
            getattr(torch.nn, name)(*arguments, **settings)
        with pytest.raises(type(theirs.value)) as ours:
            getattr(layers, name)(*arguments, **settings)
        if "argument" not in str(theirs.value) or "proj_size" in str(
            theirs.value
        ):  # Python's words name bases
            assert str(ours.value) == str(theirs.value)


def test_projections_errors_on_gru_and_rnn() -> None:
    for name in ("GRU", "RNN"):
        with pytest.raises(ValueError, match="proj_size argument is only supported for LSTM, not RNN or GRU"):
            getattr(layers, name)(30, 20, 2, proj_size=10)


@NAMES
def test_positional_arguments_stand_where_pytorchs_do(name: str) -> None:
    given = (
        (3, 5, 2, "relu", False, True, 0.25, True) if name == "RNN" else (3, 5, 2, False, True, 0.25, True)
    )
    assert repr(getattr(layers, name)(*given)) == repr(getattr(torch.nn, name)(*given))


def test_rnn_nonlinearity() -> None:
    assert (layers.RNN(1, 10).nonlinearity, layers.RNN(1, 10, nonlinearity="relu").nonlinearity) == (
        "tanh",
        "relu",
    )
    assert layers.RNN(2, 3, 1, "relu").mode == "RNN_RELU"


def test_dropout_of_one_layer_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last recurrent layer"):
        layers.LSTM(3, 4, dropout=0.5)


@NAMES
def test_error_rnn_seq_len_zero(name: str) -> None:
    for bidirectional in (False, True):
        ours = getattr(layers, name)(5, 6, bidirectional=bidirectional)
        with pytest.raises(RuntimeError, match="Expected sequence length to be larger than 0 in RNN"):
            ours(torch.ones(0, 10, 5))


@EACH
@pytest.mark.parametrize("settings", [{}, {"bidirectional": True, "num_layers": 2}, {"batch_first": True}])
def test_rnn_input_size_zero(kind: str, settings: dict[str, Any]) -> None:
    ours, theirs = pair(kind, 3, 4, **settings)
    assert_same(ours, theirs, sequence(ours, 5, 0))
    assert_same(ours, theirs, sequence(ours, 5, 0), states(ours, 0))


@EACH
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    "sizes", [(1, 1, 1, 1), (1, 3, 1, 4), (4, 1, 2, 1), (1, 1, 3, 5), (7, 1, 3, 1), (3, 17, 2, 9)]
)
def test_sizes_of_one_and_odd_ones(kind: str, bidirectional: bool, sizes: tuple[int, int, int, int]) -> None:
    steps, rows, inputs, units = sizes
    for bias in (True, False):
        ours, theirs = pair(kind, inputs, units, 2, bidirectional=bidirectional, bias=bias)
        assert_same(ours, theirs, sequence(ours, steps, rows), states(ours, rows))


@EACH
@pytest.mark.parametrize("batch_first", [False, True])
def test_unbatched_input(kind: str, batch_first: bool) -> None:
    ours, theirs = pair(kind, 3, 4, 2, bidirectional=True, batch_first=batch_first)
    assert_same(ours, theirs, random(5, 3))
    assert_same(ours, theirs, random(5, 3), states(ours, None))


@pytest.mark.parametrize("settings", [{}, {"bidirectional": True, "num_layers": 2, "batch_first": True}])
def test_projections_lstm(settings: dict[str, Any]) -> None:
    ours, theirs = pair("LSTM", 3, 5, proj_size=2, **settings)
    x, hx = sequence(ours, 4, 3), states(ours, 3)
    assert_same(ours, theirs, x, hx)
    assert_same(ours, theirs, x)
    assert_refused_alike(ours, theirs, x, (hx[1], hx[1]))
    assert_refused_alike(ours, theirs, x, (hx[0], hx[0]))


@EACH
@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_draws_what_pytorch_draws(kind: str, bidirectional: bool) -> None:
    """The same seed, the same masks: a program's losses are the same with one layer or the other."""
    ours, theirs = pair(kind, 3, 4, 3, dropout=0.4, bidirectional=bidirectional)
    for seed in (0, 1):
        both = []
        for layer in (ours, theirs):
            torch.manual_seed(seed)
            both.append(
                [
                    *values_and_gradients(layer, *copied((sequence(layer, 5, 2), states(layer, 2)))),
                    torch.rand(3),
                ]
            )
        assert_near(*both)
    ours.eval(), theirs.eval()
    assert_same(ours, theirs, sequence(ours, 5, 2))


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("dropout", [0, 0.276, 0.731, 1])
def test_rnn_dropout(train: bool, dropout: float) -> None:
    """Dropout stands between the layers: a count of ones that is told from one number."""
    rnn = layers.RNN(10, 1000, 2, bias=False, dropout=dropout, nonlinearity="relu").train(train)
    with torch.no_grad():
        for weight in rnn.parameters():
            weight.fill_(1)
    output, hy = rnn(torch.ones(1, 1, 10), torch.zeros(2, 1, 1000))
    (value,) = output.unique()
    if not train or dropout in (0, 1):
        assert value == (0 if train and dropout == 1 else 10000)
    else:
        assert 8000 < value < 12000
        rest = (value * (1 - dropout)).item() % 10
        assert min(rest, 10 - rest) < 1e-2
    assert (hy[0] == 10).all()
    assert (hy[1] == value).all()


@EACH
def test_rnn_change_dropout(kind: str) -> None:
    ours, theirs = pair(kind, 4, 20, 2)
    x = sequence(ours, 3, 2)
    for dropout in (0, 0.5, 0, 0.7, 1, 0.2, 0):
        ours.dropout = theirs.dropout = dropout
        torch.manual_seed(3)
        got = ours(x)
        torch.manual_seed(3)
        assert_near(got, theirs(x))
        assert torch.equal(ours(x)[0], ours(x)[0]) is (dropout in (0, 1))


@EACH
def test_rnn_dropout_state(kind: str) -> None:
    """A layer that was saved draws anew, and computes the same when it does not draw."""
    ours, _ = pair(kind, 4, 20, 2, dropout=0.1234)
    x, buffer = sequence(ours, 3, 2), io.BytesIO()
    torch.save(ours, buffer)
    buffer.seek(0)
    again = torch.load(buffer, weights_only=False)
    again.flatten_parameters()
    assert not torch.equal(ours(x)[0], again(x)[0])
    assert torch.equal(ours.eval()(x)[0], again.eval()(x)[0])


@EACH
def test_rnn_retain_variables(kind: str) -> None:
    ours, _ = pair(kind, 4, 5, 2)
    x = sequence(ours, 3, 2)
    outputs = flat(ours(x))
    leaves = [x, *ours.parameters()]
    first = torch.autograd.grad(sum(o.sum() for o in outputs), leaves, retain_graph=True)
    for _ in range(3):
        assert_near(
            torch.autograd.grad(sum(o.sum() for o in outputs), leaves, retain_graph=True), first, 1e-15
        )
    torch.autograd.grad(sum(o.sum() for o in outputs), leaves)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(sum(o.sum() for o in outputs), leaves)


@EACH
def test_gradients_add_up_over_calls(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4)
    for layer in (ours, theirs):
        for seed in (1, 2):
            layer(sequence(layer, 5, 2, seed))[0].square().sum().backward()
    assert_near([p.grad for p in ours.parameters()], [p.grad for p in theirs.parameters()])


@EACH
def test_parameter_assignment(kind: str) -> None:
    """A weight that is set in place of another is the one that runs, and is trained."""
    ours, theirs = pair(kind, 3, 4, 2)
    x = sequence(ours, 5, 2)
    ours(x)
    for layer in (ours, theirs):
        layer.weight_hh_l1 = torch.nn.Parameter(random(*layer.weight_hh_l1.shape, seed=9))
        layer.bias_ih_l0 = torch.nn.Parameter(random(*layer.bias_ih_l0.shape, seed=10))
    assert len(list(ours.parameters())) == 8
    assert_same(ours, theirs, x)
    for layer in (ours, theirs):  # two names, one Parameter
        layer.weight_hh_l1 = layer.weight_hh_l0
    assert_same(ours, theirs, x)


@EACH
def test_cudnn_weight_format(kind: str) -> None:
    """Weights that lie elsewhere or in another order count as what they hold."""
    ours, theirs = pair(kind, 3, 4, 2)
    x = sequence(ours, 5, 2)
    ours(x)
    with torch.no_grad():
        for layer in (ours, theirs):
            layer.weight_ih_l0.set_(random(*layer.weight_ih_l0.shape, seed=9, grad=False))
            turned = random(*layer.weight_hh_l0.shape[::-1], seed=10, grad=False).t()
            layer.weight_hh_l0.set_(turned)
            layer.weight_hh_l1.data = torch.stack([turned, turned + 1])[1]
    assert not ours.weight_hh_l0.is_contiguous()
    assert_same(ours, theirs, x)
    room = torch.full((ours.weight_hh_l0.numel() + 3,), float("nan"), dtype=torch.float64)  # no aligned start
    for layer in (ours, theirs):
        moved = room[3:].view_as(layer.weight_hh_l0).copy_(layer.weight_hh_l0.detach())
        layer.weight_hh_l0.data = moved
    assert_same(ours, theirs, x)


@EACH
def test_partial_flat_weights(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4)
    kept = ours.weight_hh_l0
    del ours.weight_hh_l0
    assert not hasattr(ours, "weight_hh_l0")
    ours.double()
    ours.weight_hh_l0 = kept
    assert_same(ours, theirs, sequence(ours, 5, 2))


@EACH
def test_a_layer_in_a_module(kind: str) -> None:
    """Sizes of a whole: its children, its state by name, a copy, sharing among processes, apply."""

    class Tagger(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, layer: Any) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(11, 3, dtype=torch.float64)
            self.rnn = layer
            self.output = torch.nn.Linear(8, 7, dtype=torch.float64)

        def forward(self, tokens: Any) -> Any:
            return self.output(self.rnn(self.embedding(tokens))[0])

    ours, theirs = (Tagger(layer) for layer in pair(kind, 3, 4, bidirectional=True))
    theirs.load_state_dict(ours.state_dict())
    tokens = torch.arange(10).view(5, 2)
    for model in (ours, copy.deepcopy(ours), ours.share_memory()):
        assert_near(model(tokens), theirs(tokens))
    for model in (ours, theirs):
        model.apply(lambda m: [p.data.mul_(0.5) for p in m.parameters(recurse=False)])
    assert_near(ours(tokens), theirs(tokens))
    seen: list[str] = []
    ours.rnn.register_forward_hook(lambda _, given, gave: seen.append(type(gave).__name__))
    ours(tokens)
    assert seen == ["tuple"]
