"""What units remember and follow, on cells and arrays of which that is known."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.looking import units
from bptt.looking.forward import Piece, double, run
from bptt.looking.properties import given, of_steps, of_text
from bptt.looking.view import Property
from bptt.types import Array


@bptt.cell(state="h", params={"p": 0.0})  # type: ignore[untyped-decorator]
def fading(x_h: Any, h: Any, p: Any) -> Any:
    h = p * h + x_h
    return h  # noqa: RET504


def run_of(model: bptt.Model, params: dict[str, Array], T: int) -> Any:
    ids = np.random.default_rng(1).integers(model.inputs, size=T)
    piece = Piece(ids, ids, np.ones(T, bool), ["a"] * T, [None] * T)
    return run(*double(model, params), piece)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_units_of_known_decay(bidirectional: bool) -> None:
    """The factor is p at every step: remembered are the first steps n with p^n < 1/e."""
    decay = np.array([0.5, 0.9, -0.99, 1.0, 0.3])
    model = bptt.Model(inputs=4, outputs=4, hidden=5, cell=fading, bidirectional=bidirectional)
    params = model.init(np.random.default_rng(0)) | {"layers.0.p": decay}
    if bidirectional:
        params["layers.0.reverse.p"] = decay[::-1]
    sides = run_of(model, params, 400).layers[0]
    wanted = [2, 10, 100, 200, 1]  # 0.5² = 0.25; 0.9^10 = 0.349; 0.99^100 = 0.366; never, so at least 200
    for d, own in enumerate(sides):
        found, by = units.remembers([own], {"h": [own.states["h"]]}, units.most_of([400]))
        assert by == {"h": "direct"}
        assert found["h"].tolist() == wanted[:: -1 if d else 1]
    # a planted fault: another factor is another memory
    wrong = [run_of(model, params | {"layers.0.p": decay * 0.9}, 400).layers[0][0]]
    assert units.remembers(wrong, {"h": [wrong[0].states["h"]]}, 200)[0]["h"].tolist() != wanted


def test_the_median_over_steps() -> None:
    d = np.full((9, 1), 0.5)
    d[4] = 1e-9  # what is fed after this step is gone at it
    counts = [
        next((n for n in range(1, t + 2) if np.prod(d[t + 1 - n : t + 1]) < 1 / np.e), 9) for t in range(9)
    ]
    assert units.by_factors([d], 1)[0] == 1  # no more than was looked for
    assert units.by_factors([d], 4)[0] == np.median(counts[3:])
    assert units.by_factors([np.zeros((5, 2))], 3).tolist() == [1, 1]


def test_other_states_are_measured_by_autocorrelation() -> None:
    rng, T = np.random.default_rng(0), 20000
    y, noise = np.zeros((T, 2)), rng.normal(size=(T, 2))
    for t in range(1, T):
        y[t] = np.array([0.5, 0.9]) * y[t - 1] + noise[t]
    found = units.by_autocorrelation([y, y[:3]], 50)
    assert found[0] == 2  # 0.5² < 1/e < 0.5
    assert abs(found[1] - 10) <= 1  # 0.9^10
    never = np.ones((40, 1))
    assert units.by_autocorrelation([never], 20)[0] == 1  # of nothing
    model = bptt.Model(inputs=4, outputs=4, hidden=3, cell="lstm")
    own = run_of(model, model.init(np.random.default_rng(0)), 30).layers[0][0]
    _, by = units.remembers([own], {s: [a] for s, a in own.states.items()}, 9)
    assert by == {"h": "autocorrelation", "c": "direct"}


def test_factors_are_those_of_the_forget_gate() -> None:
    model = bptt.Model(inputs=4, outputs=4, hidden=3, cell="lstm")
    own = run_of(model, model.init(np.random.default_rng(0)), 30).layers[0][0]
    f = 1 / (1 + np.exp(-own.a[:, 3:6]))
    np.testing.assert_allclose(units.direct_factors(own)["c"], f, rtol=1e-12)


def test_a_state_that_mixes_units_has_no_factor() -> None:
    @bptt.cell(state="h")  # type: ignore[untyped-decorator]
    def mixed(x_h: Any, h: Any) -> Any:
        h = 0.5 * h + x_h + 0.1 * sum(h)
        return h  # noqa: RET504

    model = bptt.Model(inputs=4, outputs=4, hidden=3, cell=mixed)
    own = run_of(model, model.init(np.random.default_rng(0)), 30).layers[0][0]
    assert units.direct_factors(own) == {}


def test_follows() -> None:
    rng = np.random.default_rng(0)
    on, x = rng.random(50) < 0.4, rng.normal(size=50)
    y = np.stack([2 * on - 1.0, -x, np.ones(50), rng.normal(size=50)], axis=1)
    holes = np.where(np.arange(50) < 10, np.nan, x)
    properties = [
        Property("on", "", "yes/no", on.astype(np.float32)),
        Property("x", "", "number", x.astype(np.float32)),
        Property("holes", "", "number", holes.astype(np.float32)),
        Property("same", "", "number", np.ones(50, np.float32)),
    ]
    r = units.follows(properties, y)
    assert abs(r[0, 0] - 1) < 1e-6
    assert abs(r[1, 1] + 1) < 1e-6
    assert abs(r[2, 1] + 1) < 1e-6
    assert (r[:, 2] == 0).all()
    assert (r[3] == 0).all()
    np.testing.assert_allclose(r[1, 3], np.corrcoef(x, y[:, 3])[0, 1], rtol=1e-5)


def test_properties_of_a_text() -> None:
    text = 'Ab "c(d"\n\nEF: 2\n  gh'
    found = {p.name: p.array for p in of_text(list(text), np.array([0]))}

    def marked(name: str) -> str:
        return "".join(c for c, on in zip(text, found[name], strict=True) if on)

    assert marked("in quotes") == '"c(d'
    assert marked("in brackets") == '(d"\n\nEF: 2\n  gh'
    assert marked("upper case") == "AEF"
    assert marked("capitals") == "F"  # from the second letter on it is known
    assert marked("in a word") == "AbcdEF2gh"
    assert marked("digits") == "2"
    assert marked("newline") == "\n\n\n"
    assert marked("first line") == 'Ab "c(d"\nEF: 2'
    assert found["column"].tolist()[7:12] == [8, 0, 0, 1, 2]
    assert found["indentation"].tolist()[-4:] == [1, 2, 2, 2]
    assert found["word length"].tolist()[:3] == [1, 2, 0]
    assert np.isnan(found["space next"][-1])
    assert [text[k] for k in np.flatnonzero(found["space next"] == 1)] == list('b"\n:2\n ')


def test_properties_of_longer_tokens_are_those_of_their_ends_and_begin_anew() -> None:
    found = {p.name: p.array for p in of_text(["ab", " (c", "d)", "\nx", "ab"], np.array([0, 3]))}
    assert found["column"].tolist() == [2, 5, 7, 1, 3]
    assert found["in brackets"].tolist() == [0, 1, 0, 0, 0]


def test_properties_of_steps_and_of_ones_own() -> None:
    loss = np.arange(6, dtype=np.float32)
    found = {p.name: p.array.tolist() for p in of_steps(loss, np.array([0, 4]), 2)}
    assert found == {"loss": loss.tolist(), "place": [0, 1, 2, 3, 0, 1], "place in chunk": [0, 1, 0, 1, 0, 1]}
    tokens = ["to", " be", " or", " not"]
    own = given({"b": r"b\w", "n": lambda t: [len(x) for x in t], "a": [1, 0, 1, 0]}, tokens)
    assert [(p.name, p.kind, p.array.tolist()) for p in own] == [
        ("b", "yes/no", [0, 1, 0, 0]),
        ("n", "number", [2, 3, 3, 4]),
        ("a", "yes/no", [1, 0, 1, 0]),
    ]
    for wrong in ("(", [1, 2], lambda t: "x", ["a", "b", "c", "d"], [[1], [1, 2], 3, 4]):
        with pytest.raises(bptt.ConfigError, match="the property 'w'"):
            given({"w": wrong}, tokens)
