"""Whole texts: the same whatever their number, until their ends, from what they start with."""

import re
from typing import Any

import numpy as np
import pytest

from bptt import ConfigError, Model
from bptt.data.text import Vocabulary
from bptt.nets.sample import begin, sample
from bptt.nets.writing import ROWS, until, write
from bptt.types import Params

CHARS = Vocabulary.build("abcdefg", "char").with_end()


def network(vocabulary: Vocabulary = CHARS, **options: Any) -> tuple[Model, Params]:
    V = len(vocabulary)
    model = Model(inputs=V, outputs=V, hidden=8, init_name="normal", init_scale=1.0, **options)
    return model, model.init(np.random.default_rng(0))


@pytest.mark.parametrize(
    "options", [{}, {"layers": 2, "embedding": 3, "cell": "gru"}, {"backend": "reference"}]
)
def test_a_text_is_the_same_whatever_their_number(options: dict[str, Any]) -> None:
    model, params = network(**options)
    many = list(write(model, params, CHARS, seed=3, count=ROWS + 5, length=40))
    assert len(many) == ROWS + 5
    for count in (0, 1, 7, ROWS + 1):
        assert list(write(model, params, CHARS, seed=3, count=count, length=40)) == many[:count]
    assert len({text for text, _ in many}) > ROWS / 2
    assert list(write(model, params, CHARS, seed=4, count=5, length=40)) != many[:5]


def test_each_token_is_drawn_by_the_rows_own_generator_until_the_end() -> None:
    """By hand, one row after the other."""
    model, params = network()
    for k, (text, ended) in enumerate(write(model, params, CHARS, seed=5, count=4, length=30, prime="ab")):
        rng, read, found = np.random.default_rng([5, k]), [CHARS.start, *CHARS.encode("ab")], []
        for _ in range(30):
            z = model.forward(params, np.array(read)[:, None]).outputs[-1, 0].astype(np.float64)
            p = np.exp(z - z.max())
            found.append(int(np.searchsorted(np.cumsum(p / p.sum()), rng.random())))
            read.append(found[-1])
            if found[-1] == CHARS.end:
                break
        assert (text, ended) == (CHARS.decode(found), found[-1] == CHARS.end)


def test_a_text_has_no_more_tokens_than_it_may() -> None:
    model, params = network()
    params["output.b"][CHARS.end] = -50
    assert {(len(text), ended) for text, ended in write(model, params, CHARS, seed=0, count=3, length=9)} == {
        (9, False)
    }
    assert {text for text, _ in write(model, params, CHARS, seed=0, count=3, length=0)} == {""}
    params["output.b"][CHARS.end] = 50
    assert list(write(model, params, CHARS, seed=0, count=2)) == [("", True)] * 2
    assert list(sample(model, params, CHARS, rng=np.random.default_rng(0))) == []  # it ends, too


def test_a_text_stops_before_what_is_to_stop_it() -> None:
    vocabulary = Vocabulary.build("ab", "char")
    model, params = network(vocabulary)
    how: dict[str, Any] = {"seed": 1, "count": 20, "length": 60}
    whole = [text for text, _ in write(model, params, vocabulary, **how)]
    for (text, ended), all_of_it in zip(
        write(model, params, vocabulary, stop="ab", **how), whole, strict=True
    ):
        assert text == all_of_it.split("ab")[0]
        assert ended == ("ab" in all_of_it)
    assert any("ab" in text for text in whole)
    with pytest.raises(ConfigError, match="stop must be a text"):
        list(write(model, params, vocabulary, stop="", **how))
    several = [text for text, _ in write(model, params, vocabulary, stop=["bb", "ab"], **how)]
    assert several == [re.split("ab|bb", text)[0] for text in whole]


@pytest.mark.parametrize("pieces", [["one", "\n", "\n", "two"], ["one\n\ntwo"], ["one\n", "", "\ntwo\n\n"]])
def test_pieces_end_where_the_stop_begins(pieces: list[str]) -> None:
    assert "".join(until(pieces, ["xyz", "\n\n"])) == "one"
    assert "".join(until(pieces, ["three"])) == "".join(pieces)


def test_what_is_written_depends_on_what_it_starts_from() -> None:
    model, params = network(features=2)
    how: dict[str, Any] = {"seed": 0, "count": 3, "length": 20}
    one, other = (
        list(write(model, params, CHARS, features=np.array(f), **how)) for f in ([1.0, 0.0], [0.0, 1.0])
    )
    assert one != other
    state, logits = begin(model, params, CHARS, "a", np.array([1.0, 0.0]))
    tokens = np.array([[CHARS.start], CHARS.encode("a")])
    run = model.forward(params, tokens, features=np.array([[1.0, 0.0]], np.float32))
    np.testing.assert_array_equal(logits, run.outputs[-1, 0])
    assert state.keys() == run.state.keys()
    with pytest.raises(ConfigError, match="start from features"):
        list(write(model, params, CHARS, **how))
