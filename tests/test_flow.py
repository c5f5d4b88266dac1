"""Gradient flow: the Jacobians are the numerical ones, a path is what its name says, the words say it."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bptt
import bptt.flow
from bptt import cells
from bptt.cells import LSTM, Cell, States, sigmoid
from bptt.cells.zoo import ZOO
from bptt.derive import EquationCell, read
from bptt.errors import ConfigError, DataError, DivergedError
from bptt.flow import Flow, Path, connections, jacobians, of_text, report, through_time
from bptt.flow.labels import place
from bptt.types import Array, Params

ALL = {**{f"zoo:{name}": cell for name, cell in ZOO.items()}, **cells.CELLS}
STEP = 1e-30


def layer(cell: Cell, H: int = 3, D: int = 2, seed: int = 0) -> Params:
    rng = np.random.default_rng(seed)
    sizes: dict[str, tuple[int, ...]] = {
        "W": (D, len(cell.from_x) * H),
        "U": (H, (len(cell.from_h) + len(cell.from_q)) * H),
    }
    sizes |= {"b": sizes["W"][1:]} if cell.bias else {}
    return {
        name: rng.normal(size=size) for name, size in {**sizes, **dict.fromkeys(cell.units, (H,))}.items()
    }


def numerical(cell: Cell, params: Params, x: Array) -> Array:
    """Return the Jacobians J_0 .. J_T by complex step of the states through bptt.unroll."""
    T, N, H, S = len(x), x.shape[1], len(params["U"]), len(cell.states)
    out = np.zeros((T + 1, N, S, H, S, H))
    out[0] = np.eye(S * H).reshape(S, H, S, H)
    for k in range(1, T + 1):
        before = tuple(np.zeros((N, H)) for _ in range(S))
        if k < T:
            before = bptt.unroll(cell, params, x[: T - k]).states
        for s in range(S):
            for unit in range(H):
                moved = [state.astype(complex) for state in before]
                moved[s][:, unit] += STEP * 1j
                after = bptt.unroll(cell, params, x[T - k :], tuple(moved)).states
                out[k, :, :, :, s, unit] = np.stack([a.imag / STEP for a in after], axis=1)
    return out


def error(cell: Cell, T: int = 5) -> float:
    """Return how far the Jacobians of T steps are from the numerical ones, relative to each J_k's largest."""
    params = layer(cell)
    x = np.random.default_rng(1).normal(size=(T, 2, 2))
    got, wanted = jacobians(cell, params, x), numerical(cell, params, x)
    size = np.abs(wanted).max(axis=(1, 2, 3, 4, 5), keepdims=True)
    return float(np.max(np.abs(got - wanted) / np.maximum(size, 1e-3)))


@pytest.mark.parametrize("name", ALL)
def test_the_whole_jacobian_is_the_numerical_one(name: str) -> None:
    assert error(ALL[name]) < 1e-12


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
        params, x = layer(cells.get(name)), np.random.default_rng(1).normal(size=(5, 2, 2))
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
        jacobians("rnn", layer(cells.get("rnn")), np.zeros((2, 1, 2)), path="direct")


def scaled(U: float, T: int = 60) -> Flow:
    """Return the flow of a network h = relu(1 + U h), whose gradient is U to the k."""
    params = {"W": np.ones((1, 1)), "U": np.full((1, 1), U), "b": np.ones(1)}
    return through_time("rnn-relu", params, np.zeros((T, 1, 1)))


@pytest.mark.parametrize(
    ("U", "lag", "says"),
    [
        (0.5, 6, "is last above 1% at lag 6"),
        (1e-3, 0, "is last above 1% at lag 0"),
        (0.99, 60, "is still above 1% at lag 60: 54.7%"),
        (2.0, 60, "has grown 1.15e+18-fold at lag 60"),
        (1e3, 60, "grows beyond all bounds within 60 steps"),
    ],
)
def test_the_lag_and_the_finding(U: float, lag: int | None, says: str) -> None:
    flow = scaled(U)
    assert flow.lag(flow.whole) == lag
    assert (
        report.finding(flow)
        == f"rnn-relu: along h, through a weight matrix at every step, the gradient {says}"
    )
    assert report.text(flow).startswith("rnn-relu: ")


def test_no_gradient_at_all() -> None:
    flow = scaled(0.0)
    assert report.finding(flow) == "rnn-relu: no gradient reaches a step before"
    assert report.rows(flow) == [("everything", ["-"])]


def linear(text: str, U: float, T: int) -> Flow:
    """Return the flow of a cell that is linear, of one unit, where U is the same number for all gates."""
    cell = EquationCell(read(text))
    sizes = {"W": (1, len(cell.from_x)), "U": (1, len(cell.from_h))}
    layer = {name: np.full(size, U if name == "U" else 1.0) for name, size in sizes.items()}
    return through_time(cell, layer, np.zeros((T, 1, 1)))


def headline_is_in_the_table(flow: Flow) -> bool:
    """Whether each lag of the headline stands in the table's column of that state by itself."""
    columns = report.columns(flow)
    said = re.findall(r"along (\w+), [^;]*?at lag (\d+)", report.finding(flow))
    table = [
        {row[columns.index(f"∂{s}/∂{s}")].removeprefix("≥ ") for _, row in report.rows(flow)} for s, _ in said
    ]
    return bool(said) and all(lag in entries for (_, lag), entries in zip(said, table, strict=True))


SWINGS = '@bptt.cell(state="h c")\ndef swings(x_c, h, c):\n    return c, 0.9 * h + x_c\n'
NO_U = (
    '@bptt.cell(state="h c")\ndef no_u(x_f, x_g, c):\n    f = sigmoid(x_f)\n'
    "    c = f * c + (1 - f) * x_g\n    h = tanh(c)\n    return h, c\n"
)
IN_TURN = '@bptt.cell(state="h c")\ndef in_turn(a_c, c):\n    return c, a_c\n'
ONCE = '@bptt.cell(state="h c")\ndef once(x_c, c):\n    return c, x_c\n'
SUM = '@bptt.cell(state="h")\ndef sum_of(a_h, h):\n    return a_h + h\n'


@pytest.mark.parametrize(
    ("text", "T", "says"),
    [
        # of h by itself: 1, 0, 0.9, 0, 0.81, ...
        (SWINGS, 120, "along h, through no weight matrix, the gradient is last above 1% at lag 86"),
        (SWINGS, 50, "along h, through no weight matrix, the gradient is still above 1% at lag 50: 7.18%"),
        (SWINGS, 51, "along h, through no weight matrix, the gradient is last above 1% at lag 50"),
        (NO_U, 60, "along c, through no weight matrix, the gradient is last above 1% at lag 6"),
        (
            IN_TURN,
            9,
            "along h, now through a weight matrix and now through none, "
            "the gradient is last above 1% at lag 8",
        ),
        (
            SUM,
            5,
            "along h, through no weight matrix, the gradient is still above 1% at lag 5: 100%; "
            "along h, through a weight matrix at every step, it is still above 1% at lag 5: 3.12%",
        ),
    ],
)
def test_the_finding_is_in_the_table(text: str, T: int, says: str) -> None:
    flow = linear(text, 0.5, T)
    assert report.finding(flow).partition(": ")[2] == says
    assert headline_is_in_the_table(flow)


def test_no_state_reaches_itself() -> None:
    flow = linear(ONCE, 0.5, 5)
    assert report.finding(flow) == "once: no state reaches itself at a step before"
    assert report.rows(flow) == [("everything", ["-", "1"])]


@pytest.mark.parametrize(
    ("U", "says"),
    [
        (-0.9, "paths cancel: of ∂h/∂h at lag 4, direct alone is 100%, everything 0.01%"),
        (-1.0, "paths cancel: of ∂h/∂h at lag 1, direct alone is 100%, everything 0%"),
        (0.5, None),
    ],
)
def test_paths_that_cancel(U: float, says: str | None) -> None:
    flow = linear(SUM, U, 4)
    assert report.cancellation(flow) == says
    assert report.to_json(flow)["cancellation"] == says
    assert ([says] if says else []) == [n for n in report.text(flow).splitlines() if n.startswith("paths")]


@pytest.mark.parametrize("name", ["lstm", "rnn", "gru-cho", "zoo:slstm", "zoo:indrnn", "zoo:ugrnn"])
def test_the_finding_of_known_cells_is_in_the_table(name: str) -> None:
    cell = ALL[name]
    assert headline_is_in_the_table(
        through_time(cell, layer(cell), np.random.default_rng(1).normal(size=(30, 2, 2)))
    )


def test_the_states_must_stay_finite() -> None:
    with pytest.raises(DivergedError, match="rnn-relu: the states, or their derivatives, do not stay finite"):
        through_time("rnn-relu", {"W": np.ones((1, 1)), "U": np.full((1, 1), np.nan)}, np.zeros((3, 1, 1)))


def test_what_grows_beyond_bounds_does_not_take_other_states_along() -> None:
    """c does not depend on h, and h on itself explodes."""
    text = '@bptt.cell(state="h c")\ndef two(a_h, x_c, c):\n    return a_h, 0.5 * c + x_c\n'
    flow = linear(text, 1e9, 20)
    assert flow.gain(flow.whole)[-1] == np.inf
    assert flow.pairs == [("h", "h"), ("c", "c")]
    assert not flow.has(flow.path("direct"), "h", "h")
    json.dumps(report.to_json(flow), allow_nan=False)


def test_of_another_state_the_lag_counts_from_where_it_begins() -> None:
    path = Path("everything", ((),))
    squares = np.zeros((6, 1, 2, 2))
    squares[:, 0, 0, 0] = squares[:, 0, 1, 1] = 1
    squares[1:, 0, 0, 1] = np.array([4, 2, 1, 0.03, 0.03]) ** 2
    flow = Flow("made", ("h", "c"), {path: squares})
    assert flow.pairs == [("h", "h"), ("h", "c"), ("c", "c")]
    assert flow.first("h", "c") == 1
    assert flow.lag(path, "h", "c") == 3
    assert flow.lag(path, "h", "h") == 5


def test_states_that_do_not_depend_on_each_other_are_left_out() -> None:
    squares = np.zeros((3, 1, 2, 2))
    squares[:, 0, 0, 0] = squares[:, 0, 1, 1] = [1, 0.5, 0.25]
    squares[1:, 0, 0, 1] = 1e-30  # rounding, where parts cancel
    flow = Flow("made", ("h", "m"), {Path("everything", ((),)): squares})
    assert flow.pairs == [("h", "h"), ("m", "m")]


@pytest.mark.parametrize("U", [0.5, 0.0, 1e3])
def test_what_vanishes_at_once_or_explodes_is_drawn_too(U: float) -> None:
    pytest.importorskip("matplotlib")
    from bptt.flow.chart import draw

    assert b"relu" in draw(replace(scaled(U), where="of $5 and $a_b$"), "svg")


def test_names_with_underscores_are_drawn() -> None:
    pytest.importorskip("matplotlib")
    from bptt.flow.chart import draw

    squares = np.full((4, 1, 1, 1), 0.5)
    assert draw(Flow("made", ("my_own_state",), {Path("everything", ((),)): squares}), "png")


def test_positions_are_measured_some_at_a_time(
    stack: tuple[bptt.Model, Params, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = of_text(*stack, rng=np.random.default_rng(0), lags=4, positions=9)
    monkeypatch.setattr("bptt.flow.text.MOST_NUMBERS", 2 * 260 * 5 * 4)
    parts = of_text(*stack, rng=np.random.default_rng(0), lags=4, positions=9)
    assert parts.positions == 9
    for path in whole.paths:
        np.testing.assert_allclose(parts.squares[path], whole.squares[path], rtol=1e-9, atol=1e-24)


def test_json_holds_the_table_and_the_numbers() -> None:
    flow = scaled(0.5)
    shown = report.to_json(flow)
    (line,) = shown["flows"]
    assert (line["to"], line["of"], line["path"], line["last_above_1_percent"]) == ("h", "h", "everything", 6)
    assert line["gain"][:3] == [1, 0.5, 0.25]
    assert report.to_json(scaled(1e3))["flows"][0]["gain"][-1] is None


def test_labels_stand_on_no_line_and_not_on_each_other() -> None:
    x = np.linspace(0, 200, 400)
    lines = [np.column_stack([x, 150 - x * slope]) for slope in (0.2, 0.5, 2.0)]
    sizes = [(60.0, 8.0), (30.0, 8.0), (10.0, 8.0)]
    boxes = [
        (*at, at[0] + w, at[1] + h)
        for at, (w, h) in zip(place(lines, sizes, (0, 0, 200, 160)), sizes, strict=True)
    ]
    for k, (left, bottom, right, top) in enumerate(boxes):
        for line in lines:
            x, y = line.T
            assert not ((x > left) & (x < right) & (y > bottom) & (y < top)).any()
        assert all(right <= b[0] or b[2] <= left or top <= b[1] or b[3] <= bottom for b in boxes[:k])
