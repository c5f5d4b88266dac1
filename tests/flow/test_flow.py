"""Gradient flow: the Jacobians are the numerical ones, a path is what its name says."""

import textwrap
from typing import Any

import numpy as np
import pytest

import bptt
import bptt.flow
from bptt import cells, zoo
from bptt.cells import LSTM, Cell, States, sigmoid
from bptt.derive import EquationCell, read
from bptt.errors import ConfigError, DataError
from bptt.flow import connections, jacobians, of_text, through_time
from bptt.types import Array, Params
from bptt.zoo.equations import ZOO
from flows import ALL, far, layer, numerical


def error(cell: Cell, T: int = 5) -> float:
    """Return how far the Jacobians of T steps are from the numerical ones, relative to each J_k's largest."""
    params = layer(cell)
    x = np.random.default_rng(1).normal(size=(T, 2, 2))
    zeros = (np.zeros((2, 3)),) * len(cell.states)
    return far(jacobians(cell, params, x), numerical(cell, params, x, zeros))


@pytest.mark.parametrize("name", ALL)
def test_the_whole_jacobian_is_the_numerical_one(name: str) -> None:
    assert error(ALL[name]) < 1e-12


def test_a_cell_with_a_number_of_the_layer_starts_where_it_says() -> None:
    text = """
    @bptt.cell(state="h c", scalars="s", start={"c": 0.5})
    def scaled(a_f, a_g, c, s):
        c = sigmoid(a_f) * c + s * tanh(a_g)
        return tanh(c) * c, c
    """
    cell = EquationCell(read(textwrap.dedent(text)))
    params, x = layer(cell), np.random.default_rng(1).normal(size=(3, 2, 2))
    wanted = numerical(cell, params, x, cell.first_states(2, 3, float))
    assert far(jacobians(cell, params, x), wanted) < 1e-12


@pytest.mark.parametrize("name", ["sru", "mut1", "mut2", "rg-lru"])
def test_a_cell_that_reads_its_input_is_followed(name: str) -> None:
    cell, rng = zoo.get(name), np.random.default_rng(1)
    params, x = {n: a for n, a in layer(cell, D=3).items() if n != "x"}, rng.normal(size=(5, 2, 3))
    zeros = (np.zeros((2, 3)),) * len(cell.states)
    assert far(jacobians(cell, params, x), numerical(cell, params, x, zeros)) < 1e-12


class WrongLSTM(LSTM):
    """The carry takes the input gate for the forget gate."""

    def backward(self, dstates: States, cache: Any) -> tuple[Array, States]:
        da, (dh, _) = super().backward(dstates, cache)
        i, _, o, _, _, tanh_c = cache
        return da, (dh, (dstates[1] + dstates[0] * o * (1 - tanh_c**2)) * i)


def test_a_wrong_backward_is_seen() -> None:
    assert error(WrongLSTM()) > 1e-2


@pytest.mark.parametrize("name", ["lstm", "gru-cho", "zoo:slstm", "zoo:mgu"])
def test_a_matrix_that_is_not_transposed_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = connections._times
    monkeypatch.setattr(connections, "_times", lambda J, UT: right(J, UT.T))
    assert error(ALL[name]) > 1e-2


@pytest.mark.parametrize("name", ALL)
def test_one_step_is_the_sum_of_its_connections(name: str) -> None:
    cell = ALL[name]
    params, x = layer(cell), np.random.default_rng(1).normal(size=(4, 2, 2))
    paths = through_time(cell, params, x).paths
    single = {path.connections: path.name for path in paths if len(path.connections) == 1}
    assert {c for path in paths for c in path.connections} == {c for (c,) in single}
    total = sum(jacobians(cell, params, x, path=path)[1] for path in single.values())
    np.testing.assert_allclose(total, jacobians(cell, params, x)[1], atol=1e-14)


def test_the_paths_of_the_lstm_by_hand() -> None:
    T, N, H = 6, 3, 4
    params, rng = layer(LSTM(), H), np.random.default_rng(2)
    x = rng.normal(size=(T, N, 2))
    h, c = np.zeros((N, H)), np.zeros((N, H))
    forget, by_g = np.ones((N, H)), np.broadcast_to(np.eye(H), (N, H, H))
    for t in range(T):
        a = x[t] @ params["W"] + h @ params["U"] + params["b"]
        i, f, o, g = (
            sigmoid(a[:, :H]),
            sigmoid(a[:, H : 2 * H]),
            sigmoid(a[:, 2 * H : 3 * H]),
            np.tanh(a[:, 3 * H :]),
        )
        c = f * c + i * g
        h = o * np.tanh(c)
        forget = f * forget
        by_g = ((o * (1 - np.tanh(c) ** 2) * i * (1 - g**2))[:, :, None] * params["U"][:, 3 * H :].T) @ by_g
    direct = jacobians("lstm", params, x, path="direct")
    np.testing.assert_allclose(direct[T, :, 1, :, 1], forget[:, :, None] * np.eye(H), atol=1e-16)
    np.testing.assert_array_equal(direct[T, :, :, :, 0], 0)  # nothing elementwise leads back to h
    np.testing.assert_allclose(jacobians("lstm", params, x, path="gate g")[T, :, 0, :, 0], by_g, atol=1e-15)


def test_hand_written_and_derived_flow_alike() -> None:
    for name in ("rnn", "lstm", "gru", "gru-cho"):
        params, x = layer(zoo.get(name)), np.random.default_rng(1).normal(size=(5, 2, 2))
        ours, theirs = through_time(cells.CELLS[name], params, x), through_time(ZOO[name], params, x)
        for one, other in zip(ours.squares.values(), theirs.squares.values(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-24)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rnn", ["everything"]),
        ("zoo:indrnn", ["everything"]),
        ("zoo:ugrnn", ["everything", "direct", "every gate", "gate g", "gate c"]),
        ("gru-cho", ["everything", "direct", "every gate", "gate z", "gate n", "gate r then n"]),
        ("lstm", ["everything", "direct", "every gate", "gate i", "gate f", "gate o", "gate g"]),
    ],
)
def test_the_paths_there_are(name: str, expected: list[str]) -> None:
    flow = through_time(ALL[name], layer(ALL[name]), np.random.default_rng(1).normal(size=(4, 2, 2)))
    assert [path.name for path in flow.paths if "or" not in path.name.split()] == expected


def test_a_way_that_is_open_beyond_a_threshold_alone_is_a_path() -> None:
    cell = EquationCell(read("@bptt.cell\ndef far(a_h, h):\n    h = tanh(a_h) + relu(h - 9)\n    return h\n"))
    assert connections.connections_of(cell) == [(), ("h",)]


def test_a_gradient_comes_back_from_far_below() -> None:
    cell = EquationCell(read("@bptt.cell\ndef by(x_f, h):\n    h = x_f * h\n    return h\n"))
    x = np.array([2.0, 1e20, 1.0, 1e-20])[:, None, None]
    flow = through_time(cell, {"W": np.ones((1, 1)), "U": np.zeros((1, 0))}, x)
    np.testing.assert_allclose(flow.gain(flow.whole), [1, 0, 0, 1, 2])
    assert flow.lag(flow.whole) == 4


def test_the_gain_is_the_frobenius_norm() -> None:
    params, x = layer(LSTM(), 5), np.random.default_rng(1).normal(size=(7, 4, 2))
    flow = through_time("lstm", params, x)
    for name in ("everything", "direct", "direct or gate i"):
        J = jacobians("lstm", params, x, path=name)
        for s, to in enumerate("hc"):
            for r, of in enumerate("hc"):
                norms = np.linalg.norm(J[:, :, s, :, r], axis=(2, 3))
                expected = np.sqrt((norms**2).mean(axis=1) / 5)
                np.testing.assert_allclose(
                    flow.gain(flow.path(name), to, of), expected, rtol=1e-10, atol=1e-12
                )


def test_random_gradients_are_a_sample_of_it() -> None:
    rng = np.random.default_rng(0)
    H, N = 32, 200
    params = {"W": rng.normal(size=(2, 4 * H)), "U": rng.normal(size=(H, 4 * H)) / 3}
    x = rng.normal(size=(8, N, 2))
    exact = through_time("lstm", params, x)
    sample = through_time("lstm", params, x, start=rng.choice([-1.0, 1.0], size=(N, 8, H)) / H**0.5)
    for path in exact.paths[:3]:
        for pair in exact.pairs:
            np.testing.assert_allclose(sample.gain(path, *pair), exact.gain(path, *pair), rtol=0.05)


@pytest.fixture(scope="module")
def stack() -> tuple[bptt.Model, Params, Array]:
    model = bptt.Model(inputs=7, outputs=7, hidden=5, cell="lstm", layers=2, embedding=3)
    rng = np.random.default_rng(3)
    params = {name: p.astype(np.float64) * 2 for name, p in model.init(rng).items()}
    return model, params, rng.integers(7, size=30)


@pytest.mark.parametrize("which", [0, 1])
def test_a_layer_of_a_stack_at_every_position(which: int, stack: tuple[bptt.Model, Params, Array]) -> None:
    """A text of 30 tokens is read from its beginning, so each position is where reading it all leads."""
    model, params, ids = stack
    flow = of_text(model, params, ids, rng=np.random.default_rng(0), lags=4, positions=100, layer=which)
    assert flow.positions == 27
    x = params["embedding"][ids][:, None]
    for lower in range(which):
        x = bptt.unroll("lstm", bptt.layer_params(params, lower), x).y
    own = bptt.layer_params(params, which)
    for n, end in enumerate(range(4, 31)):
        states = bptt.unroll("lstm", own, x[: end - 4]).states if end > 4 else None
        alone = through_time("lstm", own, x[end - 4 : end], states)
        for path in flow.paths:
            np.testing.assert_allclose(
                flow.squares[path][:, n], alone.squares[path][:, 0], rtol=1e-9, atol=1e-20
            )


def test_the_last_layer_is_the_default_and_positions_are_seeded(
    stack: tuple[bptt.Model, Params, Array],
) -> None:
    def gain(seed: int, **more: Any) -> Array:
        flow = of_text(*stack, rng=np.random.default_rng(seed), lags=4, positions=3, **more)
        return flow.gain(flow.whole)

    np.testing.assert_array_equal(gain(0), gain(0, layer=1))
    assert not np.array_equal(gain(0), gain(1))
    assert not np.array_equal(gain(0), gain(0, layer=0))


def test_the_direction_that_reads_from_the_end() -> None:
    model = bptt.Model(inputs=7, outputs=7, hidden=5, cell="gru", bidirectional=True)
    rng = np.random.default_rng(3)
    params, ids = model.init(rng, np.float64), rng.integers(7, size=20)
    flow = of_text(model, params, ids, rng=np.random.default_rng(0), lags=20, reverse=True)
    assert flow.positions == 1
    assert "reading from the end" in flow.where
    alone = through_time("gru", bptt.layer_params(params, reverse=True), ids[::-1, None])
    np.testing.assert_allclose(flow.squares[flow.whole], alone.squares[alone.whole], rtol=1e-10)


def test_large_layers_are_sampled() -> None:
    model = bptt.Model(inputs=7, outputs=7, hidden=40, cell="rnn")
    rng = np.random.default_rng(3)
    ids = rng.integers(7, size=400)
    flow = of_text(model, model.init(rng), ids, rng=rng, lags=10)
    assert "16 random gradients from each" in flow.where
    assert flow.gain(flow.whole)[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"layer": 2}, "layers 0 to 1, got layer 2"),
        ({"layer": -1}, "got layer -1"),
        ({"reverse": True}, "no reverse"),
        ({"lags": 0}, "from 1, got 0"),
        ({"positions": 0}, "from 1, got 256 and 0|got 4 and 0"),
        ({"lags": 31}, "in 30 tokens no position has 31 steps"),
    ],
)
def test_what_cannot_be_measured(
    more: dict[str, Any], message: str, stack: tuple[bptt.Model, Params, Array]
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        of_text(*stack, **{"rng": np.random.default_rng(0), "lags": 4, **more})


def test_a_path_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match="rnn: no path is called 'direct'; there are everything"):
        jacobians("rnn", layer(zoo.get("rnn")), np.zeros((2, 1, 2)), path="direct")


def test_what_would_take_too_long_is_refused_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"s{n}" for n in range(30)]
    every = " + ".join(["h", *names])
    text = f"def large(a_g, h, {', '.join(names)}):\n    s = tanh({every})\n"
    text += f"    return a_g * s, {', '.join(f's + {name}' for name in names)}\n"
    cell = EquationCell(read(f"@bptt.cell(state='h {' '.join(names)}')\n{text}"))
    model = bptt.Model(inputs=3, outputs=3, hidden=64, cell=cell)
    params = {name: np.zeros(shape, np.float32) for name, shape in model.shapes.items()}
    monkeypatch.setattr("bptt.flow.positions.through_time", None)
    with pytest.raises(
        ConfigError, match=r"between 31 states along 3 paths, 90 steps back from 256 pos.* fewer"
    ):
        of_text(model, params, np.zeros(999, int), rng=np.random.default_rng(0), lags=90)


def test_a_layer_too_large_is_refused_before_memory_is_taken() -> None:
    for hidden, lags, says in ((1 << 20, 2, "the layer is too large"), (1 << 14, 900, "ask for fewer lags")):
        model = bptt.Model(inputs=3, outputs=3, hidden=hidden, cell="indrnn")
        with pytest.raises(ConfigError, match=f"{hidden:,} units: {lags} steps back need .*: {says}$"):
            of_text(model, {}, np.zeros(1999, int), rng=np.random.default_rng(0), lags=lags)


@pytest.mark.parametrize("name", ZOO)
def test_every_cell_of_the_zoo_may_have_1024_units(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Measured(Exception):  # noqa: N818
        pass

    def begin(*_: Any, **__: Any) -> None:
        raise Measured

    monkeypatch.setattr("bptt.flow.positions._layer", begin)
    model = bptt.Model(inputs=3, outputs=3, hidden=1024, cell=name)
    with pytest.raises(Measured):
        of_text(model, {}, np.zeros(1999, int), rng=np.random.default_rng(0), lags=250)


def test_positions_are_measured_some_at_a_time(
    stack: tuple[bptt.Model, Params, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = of_text(*stack, rng=np.random.default_rng(0), lags=4, positions=9)
    monkeypatch.setattr("bptt.flow.positions.MOST_NUMBERS", 2 * 260 * 5 * 4)
    parts = of_text(*stack, rng=np.random.default_rng(0), lags=4, positions=9)
    assert parts.positions == 9
    for path in whole.paths:
        np.testing.assert_allclose(parts.squares[path], whole.squares[path], rtol=1e-9, atol=1e-24)
