"""PyTorch's layers, given the same weights, have the same outputs and the same gradients.

The layouts differ. PyTorch's matrices are ours transposed; its LSTM's blocks stand in the order i f g o, ours
in i f o g; its GRU has r z n on both sides, as ours has r z n at the input and r z m at the recurrent side.
"""

import re
from typing import Any

import numpy as np
import pytest

from bptt import Model
from bptt.cells import CELLS
from bptt.nets.stack import Stack
from bptt.types import Array, Params
from gradcheck import assert_close

torch = pytest.importorskip("torch")

TOLERANCE = 1e-10
T, N, D, H = 6, 3, 4, 5
LAYERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "rnn": (torch.nn.RNN, {"nonlinearity": "tanh"}),
    "rnn-relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (torch.nn.LSTM, {}),
    "gru": (torch.nn.GRU, {}),
}
NAMES = {"weight_ih": "W", "weight_hh": "U", "bias_ih": "b", "bias_hh": "b_h"}
EVERY_CELL = pytest.mark.parametrize("cell", LAYERS)


def ours(cell: str, array: Array) -> Array:
    """Return one of PyTorch's arrays in our layout."""
    if cell == "lstm":
        i, f, g, o = np.split(array, 4)
        array = np.concatenate([i, f, o, g])
    return array.T.copy()


def in_our_names(cell: str, theirs: dict[str, Array]) -> Params:
    """Return arrays by our parameters' names from those by PyTorch's, such as ``weight_ih_l0_reverse``."""
    found: Params = {}
    for name, array in theirs.items():
        parts = re.fullmatch(r"(\w+?_\w\w)_l(\d+)(_reverse)?", name)
        assert parts
        direction = "reverse." if parts[3] else ""
        found[f"layers.{parts[2]}.{direction}{NAMES[parts[1]]}"] = ours(cell, array)
    return found


def values(named: Any) -> dict[str, Array]:
    return {name: p.detach().numpy().copy() for name, p in named}


def gradients(named: Any) -> dict[str, Array]:
    return {name: p.grad.numpy().copy() for name, p in named}


@EVERY_CELL
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["", "both"])
@pytest.mark.parametrize("lengths", [None, [4, 6, 1]], ids=["", "packed"])
def test_layers(cell: str, layers: int, bidirectional: bool, lengths: list[int] | None) -> None:
    kind, options = LAYERS[cell]
    torch.manual_seed(0)
    net = kind(D, H, layers, bidirectional=bidirectional, dtype=torch.float64, **options)
    stack = Stack(CELLS[cell], D, H, layers, bidirectional=bidirectional, bias="two")
    params = in_our_names(cell, values(net.named_parameters()))
    assert params.keys() == stack.init(np.random.default_rng(0)).keys()

    rng = np.random.default_rng(1)
    names = stack.state_names
    x, dy = rng.normal(size=(T, N, D)), rng.normal(size=(T, N, stack.width))
    states, dfinal = ({name: rng.normal(size=(N, H)) for name in names} for _ in range(2))
    mask = None if lengths is None else np.arange(T)[:, None] < lengths

    def theirs(states: Params) -> list[Any]:
        return [torch.tensor(by_kind(states)[s]) for s in CELLS[cell].states]

    their_x, initial = torch.tensor(x, requires_grad=True), [s.requires_grad_() for s in theirs(states)]
    fed = their_x
    if lengths is not None:
        fed = torch.nn.utils.rnn.pack_padded_sequence(their_x, lengths, enforce_sorted=False)
    their_y, final = net(fed, tuple(initial) if cell == "lstm" else initial[0])
    if lengths is not None:
        their_y, _ = torch.nn.utils.rnn.pad_packed_sequence(their_y)
    final = final if cell == "lstm" else (final,)
    loss = (their_y * torch.tensor(dy)).sum()
    for s, d in zip(final, theirs(dfinal), strict=True):
        loss = loss + (s * d).sum()
    loss.backward()

    run = stack.forward(params, x, states, mask=mask)
    dparams, dx, dinitial, *_ = run.backward(dy, dfinal)
    assert dx is not None
    assert_close({"y": run.y}, {"y": their_y.detach().numpy()}, TOLERANCE)
    assert_close(by_kind(run.states), by_kind_of(final), TOLERANCE)
    assert_close(dparams, in_our_names(cell, gradients(net.named_parameters())), TOLERANCE)
    assert_close({"x": dx}, {"x": their_x.grad.numpy()}, TOLERANCE)
    assert_close(by_kind(dinitial), by_kind_of([s.grad for s in initial]), TOLERANCE)


def by_kind(states: Params) -> Params:
    """Return our states as PyTorch has them: (layers · directions, N, H) for h, and for c."""
    ends = sorted(name.rsplit(".", 1) for name in states)  # "reverse" comes after the forward one's nothing
    return {kind: np.stack([states[f"{at}.{kind}"] for at, k in ends if k == kind]) for _, kind in ends}


def by_kind_of(states: Any) -> Params:
    return {s: tensor.detach().numpy() for s, tensor in zip("hc", states, strict=False)}


@EVERY_CELL
@pytest.mark.parametrize("vocabulary", [7, 40], ids=["folded", "gathered"])
@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
@pytest.mark.parametrize("projected", [False, True], ids=["", "projected"])
def test_language_model(cell: str, vocabulary: int, tied: bool, projected: bool) -> None:
    """Embedding, two layers, output matrix, and the mean cross-entropy of the next token."""
    kind, options = LAYERS[cell]
    V, E = vocabulary, H if tied and not projected else D
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(V, E, dtype=torch.float64)
    net = kind(E, H, 2, dtype=torch.float64, **options)
    P = torch.nn.Linear(H, E, bias=False, dtype=torch.float64) if projected else torch.nn.Identity()
    output = torch.nn.Linear(E if projected else H, V, dtype=torch.float64)
    if tied:
        output.weight = embedding.weight

    sizes: dict[str, Any] = {"embedding": E, "projection": E if projected else None, "tied": tied}
    model = Model(inputs=V, outputs=V, hidden=H, cell=cell, layers=2, bias="two", **sizes)
    tokens = np.random.default_rng(1).integers(V, size=(T + 1, N))
    their_tokens = torch.tensor(tokens)
    y, final = net(embedding(their_tokens[:-1]))
    loss = torch.nn.functional.cross_entropy(output(P(y)).permute(0, 2, 1), their_tokens[1:])
    loss.backward()

    def whole(take: Any) -> Params:
        """Return their parameters, or gradients, in our names."""
        found = in_our_names(cell, take(net.named_parameters()))
        found["embedding"] = take(embedding.named_parameters())["weight"]
        linear = take(output.named_parameters())
        found["output.b"] = linear["bias"]
        if projected:
            found["output.P"] = take(P.named_parameters())["weight"].T
        return found if tied else found | {"output.W": linear["weight"].T}

    step = model.loss_and_grads(whole(values), tokens[:-1], tokens[1:])
    assert step.loss == pytest.approx(loss.item(), rel=1e-13)
    assert_close(step.grads, whole(gradients), TOLERANCE)
    assert_close(by_kind(step.state), by_kind_of(final if cell == "lstm" else [final]), TOLERANCE)
