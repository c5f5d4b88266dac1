"""What is said of a flow: the finding follows from the table, the last lag counts, paths may cancel."""

import json
import re

import numpy as np
import pytest

from bptt.errors import DivergedError
from bptt.flow import Flow, Path, report, through_time
from flows import ALL, SUM, SWINGS, layer, linear, scaled


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


def headline_is_in_the_table(flow: Flow) -> bool:
    """Whether each lag of the headline stands in the table's column of that state by itself."""
    columns = report.columns(flow)
    said = re.findall(r"along (\w+), [^;]*?at lag (\d+)", report.finding(flow))
    table = [
        {row[columns.index(f"∂{s}/∂{s}")].removeprefix("≥ ") for _, row in report.rows(flow)} for s, _ in said
    ]
    return bool(said) and all(lag in entries for (_, lag), entries in zip(said, table, strict=True))


NO_U = (
    '@bptt.cell(state="h c")\ndef no_u(x_f, x_g, c):\n    f = sigmoid(x_f)\n'
    "    c = f * c + (1 - f) * x_g\n    h = tanh(c)\n    return h, c\n"
)
IN_TURN = '@bptt.cell(state="h c")\ndef in_turn(a_c, c):\n    return c, a_c\n'
ONCE = '@bptt.cell(state="h c")\ndef once(x_c, c):\n    return c, x_c\n'
NO_WAY = '@bptt.cell(state="h")\ndef no_way(x_f):\n    return tanh(x_f)\n'
MIXED = '@bptt.cell(state="h c")\ndef mixed(a_f, c):\n    return 0.1 * a_f + c, a_f\n'


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
        # c by itself: h reads it as it is, and c reads h by a product
        (
            MIXED,
            30,
            "along c, now through a weight matrix and now through none, the gradient is last above "
            "1% at lag 12; along h, through a weight matrix at every step, at lag 1",
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


def test_no_step_reads_the_one_before() -> None:
    flow = linear(NO_WAY, 0.5, 5)
    assert report.finding(flow) == "no-way: no gradient reaches a step before"
    assert report.meaning(flow) == {"everything": "no step reads the one before"}


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


def test_json_holds_the_table_and_the_numbers() -> None:
    flow = scaled(0.5)
    shown = report.to_json(flow)
    (line,) = shown["flows"]
    assert (line["to"], line["of"], line["path"], line["last_above_1_percent"]) == ("h", "h", "everything", 6)
    assert line["gain"][:3] == [1, 0.5, 0.25]
    assert report.to_json(scaled(1e3))["flows"][0]["gain"][-1] is None
