"""Gradients by path against PyTorch's automatic differentiation, in float64, every entry.

Each state of each layer gets a zero added after every step; the gradient of one step's loss at these zeros is
what must be seen. Paths are cut there by `detach`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.layer.reference import Unrolled, unroll
from bptt.looking import gradient
from bptt.looking.forward import Piece, double, run
from bptt.types import Array, Params

torch = pytest.importorskip("torch")

T, V, H, E = 7, 5, 4, 3


@bptt.cell(state="h c", params={"p": (0.5, 1.0)})  # type: ignore[untyped-decorator]
def peeping(a_f: Any, a_o: Any, a_g: Any, c: Any, p: Any) -> Any:
    f, o, g = sigmoid(a_f + p * c), sigmoid(a_o), tanh(a_g)  # type: ignore[name-defined]  # noqa: F821
    c = f * c + (1 - f) * g
    h = o * tanh(c)  # type: ignore[name-defined]  # noqa: F821
    return h, c


def drawn(**how: Any) -> tuple[bptt.Model, Params, Piece]:
    """Return a model with asymmetric weights, biases in all places, and a piece to read."""
    rng = np.random.default_rng(7)
    told: dict[str, Any] = {"embedding": E, "bias": "two", **how}
    model = bptt.Model(inputs=V, outputs=V, hidden=H, **told)
    params = {n: rng.normal(size=a.shape) * 0.8 for n, a in model.init(rng, np.float64).items()}
    ids = rng.integers(V, size=T + 1)
    targets = ids[1:] if model.pool is None else ids[:1]
    return model, params, Piece(ids[:-1], targets, np.ones(len(targets), bool), ["a"] * T, [None] * T)


# steps of PyTorch, from a layer's own parameters: each gives (h, *others) after a step


def lstm(own: Any, x: Any, before: Any, kept: Any) -> Any:
    h, c = before

    def a(k: int, name: str) -> Any:
        at = slice(k * H, (k + 1) * H)
        seen = h if name in kept else h.detach()
        return x @ own["W"][:, at] + own["b"][at] + seen @ own["U"][:, at] + own["b_h"][at]

    i, f, o = (torch.sigmoid(a(k, name)) for k, name in enumerate("ifo"))
    c = f * (c if "direct" in kept else c.detach()) + i * torch.tanh(a(3, "g"))
    return o * torch.tanh(c), c


def gru(own: Any, x: Any, before: Any, kept: Any) -> Any:
    """PyTorch's own cell, whose weights `conventions` converts."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    as_numpy = {n: a.detach().numpy() for n, a in own.items()}
    theirs = bptt.conventions.to_system("gru", as_numpy, "pytorch")
    weights = [torch.tensor(np.array(theirs[name])) for name in names]
    return (torch.gru_cell(x, before[0], *weights),)


def peeping_step(own: Any, x: Any, before: Any, kept: Any) -> Any:
    h, c = before
    a_f, a_o, a_g = torch.split(x @ own["W"] + own["b"] + h @ own["U"] + own["b_h"], H, dim=-1)
    f = torch.sigmoid(a_f + own["p"] * c)
    c = f * c + (1 - f) * torch.tanh(a_g)
    return torch.sigmoid(a_o) * torch.tanh(c), c


STEPS: dict[str, Callable[..., Any]] = {"lstm": lstm, "gru": gru, "peeping": peeping_step}
EVERY = frozenset({"direct", *"ifog"})


def by_autograd(
    model: bptt.Model, params: Params, piece: Piece, kept: Mapping[int, Any] | None = None
) -> tuple[Array, Array]:
    """Return, by layer, direction and steps t and τ, the norm of each loss's gradient, at states and inputs.

    `kept` says for a layer which of its ways from step to step there are; all of them are by default.
    """
    p: Any = {name: torch.tensor(array) for name, array in params.items()}
    tokens, directions = torch.tensor(piece.inputs), model.stack.directions
    x = p["embedding"][tokens] if model.embedding else torch.eye(V, dtype=torch.float64)[tokens]
    step, states = STEPS[model.stack.cell.name], len(model.stack.cell.states)
    zeros: dict[tuple[int, int, int], list[Any]] = {}
    ends = []
    for layer in range(model.layers):
        sides = []
        for d, direction in enumerate(directions):
            own = bptt.layer_params(p, layer, reverse=direction != "")
            s = [torch.zeros(1, H, dtype=torch.float64)] * states
            y: list[Any] = [None] * T
            for t in reversed(range(T)) if direction else range(T):
                some = (kept or {}).get(layer, EVERY)
                if not some:
                    s = [a.detach() for a in s]
                seen = torch.zeros(1, x.shape[-1], dtype=torch.float64, requires_grad=True)
                s = list(step(own, x[t : t + 1] + seen, s, some))
                eps = [torch.zeros(1, H, dtype=torch.float64, requires_grad=True) for _ in s]
                s = [a + e for a, e in zip(s, eps, strict=True)]
                zeros[layer, d, t] = [*eps, seen]
                y[t] = s[0]
            sides.append(torch.cat(y))
            ends.append(s[0])
        x = torch.cat(sides, dim=-1)
    if model.pool == "last":
        x = torch.cat(ends[-len(directions) :], dim=-1)
    elif model.pool == "mean":
        x = x.mean(dim=0, keepdim=True)
    logits = x @ p["output.W"] + p["output.b"]
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(piece.targets), reduction="none")
    found = np.zeros((2, model.layers, len(directions), T, T))
    leaves = [leaf for own in zeros.values() for leaf in own]
    for t, loss in enumerate(losses):
        grads = iter(torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True))
        for (layer, d, tau), some_leaves in zeros.items():
            each = [next(grads) for _ in some_leaves]
            squares = [0.0 if g is None else float((g * g).sum()) for g in each]
            row = t if model.pool is None else 0 if d else T - 1
            found[:, layer, d, row, tau] = np.sqrt([sum(squares[:-1]), squares[-1]])
    return found[0], found[1]


def expect_same(norm: Array, wanted: Array, reverse: bool, rows: Any = range(T)) -> None:
    """Compare norms (T, K+1) with those by steps (T, T); where there is no step there must be NaN."""
    for t in range(T):
        for k in range(norm.shape[1]):
            tau = t + k if reverse else t - k
            if 0 <= tau < T and t in rows:
                np.testing.assert_allclose(norm[t, k], wanted[t, tau], rtol=1e-9, atol=1e-14)
            else:
                assert np.isnan(norm[t, k])


CASES: dict[str, dict[str, Any]] = {
    "lstm": {"cell": "lstm"},
    "gru": {"cell": "gru"},
    "own": {"cell": peeping},
    "one-hot": {"cell": "lstm", "embedding": None},
    "two layers": {"cell": "lstm", "layers": 2},
    "three layers": {"cell": "gru", "layers": 3},
    "own, two layers": {"cell": peeping, "layers": 2, "embedding": None},
    "both directions": {"cell": "gru", "bidirectional": True},
    "both, two layers": {"cell": "lstm", "bidirectional": True, "layers": 2},
    "last": {"cell": "lstm", "bidirectional": True, "layers": 2, "pool": "last"},
    "mean": {"cell": "gru", "layers": 2, "pool": "mean"},
}


@pytest.mark.parametrize("lags", [T - 1, 3])
@pytest.mark.parametrize("case", CASES)
def test_everything(case: str, lags: int) -> None:
    model, params, piece = drawn(**CASES[case])
    states, inputs = by_autograd(model, params, piece)
    ran = run(*double(model, params), piece)
    found = gradient.reach(ran, lags, range(model.layers), paths=False)
    for layer, of_layer in enumerate(found):
        for d, reach in enumerate(of_layer):
            rows = range(T) if model.pool is None else [0 if d else T - 1]
            expect_same(reach.norm[..., 0], states[layer, d], d == 1, rows)
            expect_same(reach.inputs, inputs[layer, d], d == 1, rows)


@pytest.mark.parametrize("layers", [1, 2])
def test_paths(layers: int) -> None:
    model, params, piece = drawn(cell="lstm", layers=layers)
    (reach,) = gradient.reach(run(*double(model, params), piece), T - 1, [0])[0]
    ways = {"within the layer": EVERY, "direct": {"direct"}, "every gate": {*"ifog"}}
    ways |= {f"gate {g}": {g} for g in "ifog"}
    assert reach.paths == ["everything", *list(ways)[layers == 1 :]]
    for k, path in enumerate(reach.paths[1:], 1):
        wanted, _ = by_autograd(model, params, piece, {0: ways[path], 1: frozenset()})
        expect_same(reach.norm[..., k], wanted[0, 0], reverse=False)


def test_paths_begin_with_the_true_gradient_and_all_of_them_are_everything() -> None:
    model, params, piece = drawn(cell="gru", layers=2, bidirectional=True)
    found = gradient.reach(run(*double(model, params), piece), 3, [0, 1])
    for reach in found[0]:
        assert np.array_equal(reach.norm[:, 0, 1:], np.repeat(reach.norm[:, 0, :1], len(reach.paths) - 1, 1))
    for reach in found[1]:  # of a cell whose ways are all through its own layer
        assert "within the layer" not in reach.paths
    model, params, piece = drawn(cell="rnn", layers=1)
    (reach,) = gradient.reach(run(*double(model, params), piece), 3, [0])[0]
    assert reach.paths == ["everything"]


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model, params, piece = drawn(cell="lstm", layers=3)
    ran = run(*double(model, params), piece)
    whole = gradient.reach(ran, 2, [0, 1])
    monkeypatch.setattr(gradient, "MOST_NUMBERS", 1)
    for a, b in zip(whole, gradient.reach(ran, 2, [0, 1]), strict=True):
        np.testing.assert_allclose(a[0].norm, b[0].norm, rtol=1e-13)
        np.testing.assert_allclose(a[0].inputs, b[0].inputs, rtol=1e-13)


@pytest.mark.parametrize("case", ["lstm", "two layers"])
def test_a_planted_fault_is_caught(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Unrolled.step_backward

    def wrong(self: Unrolled, t: int, dstates: Any) -> Any:
        da, (dh, dc) = right(self, t, dstates)
        return da, (dh, dc * (1 + 1e-6))

    monkeypatch.setattr(Unrolled, "step_backward", wrong)
    with pytest.raises(AssertionError):
        test_everything(case, 3)


def test_a_large_one_hot_input_is_narrowed_and_keeps_its_norm() -> None:
    rng = np.random.default_rng(0)
    model = bptt.Model(inputs=50, outputs=3, hidden=2, cell="gru")
    params = {n: rng.normal(size=a.shape) for n, a in model.init(rng, np.float64).items()}
    piece = Piece(rng.integers(50, size=T), rng.integers(3, size=T), np.ones(T, bool), [], [])
    ran = run(*double(model, params), piece)
    (reach,) = gradient.reach(ran, T - 1, [0])[0]
    own = ran.layers[0][0]
    dstates = tuple(np.zeros((1, 2)) for _ in own.states)
    dstates[0][:] = ran.dh[T - 1]
    for k in range(T):
        da, dstates = own.run.step_backward(T - 1 - k, dstates)
        np.testing.assert_allclose(reach.inputs[T - 1, k], np.linalg.norm(own.run.input_backward(da)))


@pytest.mark.parametrize(
    "cell", ["mlstm", "skip-lstm", "lstm-layernorm", "lstm-mogrifier", "cornn", "rhn-4", "sru"]
)
def test_everything_of_cells_beyond_one_number_a_unit(cell: str) -> None:
    """Each loss by complex steps of the states, through the reference loop, whose backward is not asked."""
    rng = np.random.default_rng(2)
    model = bptt.Model(inputs=V, outputs=V, hidden=4, embedding=4, cell=cell)
    params = {n: rng.normal(size=a.shape) * 0.6 for n, a in model.init(rng, np.float64).items()}
    ids = rng.integers(V, size=T + 1)
    ran = run(*double(model, params), Piece(ids[:-1], ids[1:], np.ones(T, bool), ["a"] * T, [None] * T))
    (reach,) = gradient.reach(ran, T - 1, [0])[0]
    own, plain = ran.layers[0][0], bptt.layer_params(params)
    for tau in range(T - 1):
        states = tuple(a[tau : tau + 1] for a in own.states.values())
        squares = np.zeros(T - tau)
        for s, state in enumerate(states):
            for unit in range(state.shape[1]):
                moved = [a.astype(complex) for a in states]
                moved[s][:, unit] += 1e-30j
                y = unroll(own.cell, plain, own.x[tau + 1 :], tuple(moved)).y
                h = np.concatenate([moved[0][None], y])[:, 0]
                squares += ((h * ran.dh[tau:]).sum(axis=1).imag / 1e-30) ** 2
        found = reach.norm[np.arange(tau, T), np.arange(T - tau), 0]
        np.testing.assert_allclose(found, np.sqrt(squares), rtol=1e-8, atol=1e-13)
