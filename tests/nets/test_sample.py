"""What a model writes is drawn from its probabilities, to the seed's bits, and none of it is kept."""

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest

from bptt import ConfigError, DataError, Model, sample
from bptt.data.text import Vocabulary
from bptt.nets import evaluate
from bptt.nets.sample import probabilities
from bptt.types import Array, Params

CHARS = Vocabulary.build("abcdefgh\n", "char")


def network(vocabulary: Vocabulary = CHARS, seed: int = 0, **options: Any) -> tuple[Model, Params]:
    model = Model(inputs=len(vocabulary), outputs=len(vocabulary), hidden=8, **options)
    return model, model.init(np.random.default_rng(seed))


def always(p: Array) -> tuple[Model, Params]:
    """Return a model that gives the tokens these probabilities whatever it has read."""
    model, params = network()
    params["output.W"][:] = 0
    params["output.b"][:] = np.log(p)
    return model, params


def cycle(text: str) -> tuple[Model, Params, Vocabulary]:
    """Return a model of bytes that after each byte of a text takes the next one for the likeliest."""
    vocabulary, codes = Vocabulary.build("", "byte"), text.encode()
    assert len(set(codes)) == len(codes)
    model = Model(inputs=256, outputs=256, hidden=256, cell="rnn")
    params = {name: np.zeros_like(array) for name, array in model.init(np.random.default_rng(0)).items()}
    params["layers.0.W"] = 5 * np.eye(256, dtype=np.float32)
    for code, after in zip(codes, codes[1:] + codes[:1], strict=True):
        params["output.W"][code, after] = 1
    return model, params, vocabulary


def written(model: Model, params: Params, seed: int = 0, vocabulary: Vocabulary = CHARS, **asked: Any) -> str:
    return "".join(sample(model, params, vocabulary, rng=np.random.default_rng(seed), **asked))


# the probabilities


def test_temperature_divides_the_logits() -> None:
    z = np.random.default_rng(0).normal(size=50)
    for temperature in (0.1, 0.7, 1.0, 3.0):
        wanted = np.exp(z / temperature)
        np.testing.assert_allclose(probabilities(z, temperature), wanted / wanted.sum(), rtol=1e-12)


def test_temperatures_at_the_ends_are_the_likeliest_and_the_uniform() -> None:
    z = np.array([1.0, 3.0, 2.0, 3.0], np.float32)
    np.testing.assert_array_equal(probabilities(z, 0), [0, 1, 0, 0])
    for temperature in (1e-320, 1e-30):  # without a warning, too
        np.testing.assert_array_equal(probabilities(z, temperature), [0, 0.5, 0, 0.5])
    np.testing.assert_allclose(probabilities(z, 1e300), 0.25)


def test_logits_of_any_size_give_probabilities() -> None:
    for z in ([3e38, -3e38, 0.0], [-3e38, -3e38, -3e38], [88.0, 800.0, 8000.0]):
        p = probabilities(np.array(z, np.float32))
        assert p.sum() == pytest.approx(1)
        assert p.argmax() == np.argmax(z)


def test_top_k_leaves_the_k_likeliest() -> None:
    p = np.array([0.1, 0.4, 0.2, 0.3])
    np.testing.assert_allclose(probabilities(np.log(p), top_k=1), [0, 1, 0, 0])
    np.testing.assert_allclose(probabilities(np.log(p), top_k=3), [0, 4 / 9, 2 / 9, 3 / 9])
    for k in (4, 5, 10**9):
        np.testing.assert_allclose(probabilities(np.log(p), top_k=k), p)
    tied = probabilities(np.zeros(6), top_k=2)
    assert sorted(tied) == [0, 0, 0, 0, 0.5, 0.5]


def test_top_p_leaves_the_fewest_likeliest_that_have_probability_p() -> None:
    p = np.array([0.1, 0.4, 0.2, 0.3])
    np.testing.assert_allclose(probabilities(np.log(p), top_p=1e-9), [0, 1, 0, 0])
    np.testing.assert_allclose(probabilities(np.log(p), top_p=0.39), [0, 1, 0, 0])
    np.testing.assert_allclose(probabilities(np.log(p), top_p=0.41), [0, 4 / 7, 0, 3 / 7])
    np.testing.assert_allclose(probabilities(np.log(p), top_p=0.8), [0, 4 / 9, 2 / 9, 3 / 9])
    np.testing.assert_allclose(probabilities(np.log(p), top_p=1.0), p)


def test_top_k_and_top_p_together_take_the_stricter() -> None:
    z = np.log([0.1, 0.4, 0.2, 0.3])
    np.testing.assert_allclose(probabilities(z, top_k=1, top_p=0.9), [0, 1, 0, 0])
    np.testing.assert_allclose(probabilities(z, top_k=4, top_p=0.3), [0, 1, 0, 0])
    np.testing.assert_allclose(probabilities(z, temperature=0, top_k=3, top_p=0.9), [0, 1, 0, 0])


# the draws


@pytest.mark.parametrize(
    "asked", [{}, {"temperature": 0.5}, {"top_k": 4}, {"top_p": 0.7}, {"temperature": 1.5, "top_k": 6}]
)
def test_tokens_come_as_often_as_they_are_probable(asked: dict[str, Any]) -> None:
    model, params = always(np.array([0.3, 0.02, 0.05, 0.2, 0.1, 0.08, 0.15, 0.04, 0.06]))
    wanted = probabilities(params["output.b"], **asked)
    count = 4000
    text = written(model, params, length=count, **asked)
    found = np.array([text.count(token) for token in CHARS.tokens])
    assert found.sum() == count
    assert not found[wanted == 0].any()
    may = wanted > 0
    chi2 = ((found - count * wanted)[may] ** 2 / (count * wanted[may])).sum()
    assert chi2 < 26.1  # of 8 degrees of freedom, one draw in a thousand has more
    assert chi2 > 0.01  # and few so little


def test_each_token_is_drawn_after_those_before_it() -> None:
    """By hand: the state goes on and each token is fed back."""
    model, params = network(layers=2, embedding=5)
    text = written(model, params, length=60, prime="abc", temperature=0.8)
    rng, tokens = np.random.default_rng(0), list(CHARS.encode("abc"))
    for _ in range(60):
        logits = model.forward(params, np.array(tokens)[:, None]).outputs[-1, 0]
        tokens.append(int((np.cumsum(probabilities(logits, 0.8)) <= rng.random()).sum()))
    assert text == CHARS.decode(tokens[3:])
    assert len(set(text)) > 4


def test_temperature_0_always_takes_the_likeliest() -> None:
    model, params = network(seed=3)
    text = written(model, params, length=40, temperature=0)
    tokens = [CHARS.start]
    for _ in range(40):
        logits = model.forward(params, np.array(tokens)[:, None]).outputs[-1, 0]
        tokens.append(int(logits.argmax()))
    assert text == CHARS.decode(tokens[1:])
    assert text == written(model, params, seed=1, length=40, temperature=0)
    assert text == written(model, params, seed=2, length=40, top_k=1)


def test_the_same_seed_writes_the_same_and_another_something_else() -> None:
    model, params = network()
    first = written(model, params, seed=1, length=80)
    assert first == written(model, params, seed=1, length=80)
    assert first != written(model, params, seed=2, length=80)
    assert written(model, params, seed=1, length=30) == first[:30]


def test_a_prime_longer_than_what_is_read_at_once_is_read_whole() -> None:
    model, params = network(cell="gru", init_name="normal", init_scale=2.0)
    for size in (255, 256, 257, 700):
        prime = "".join(np.random.default_rng(size).choice(list("abcdefgh\n"), size))
        run = model.forward(params, CHARS.encode(prime)[:, None])
        rng, token, wanted = np.random.default_rng(0), 0, ""
        for _ in range(20):
            token = int((np.cumsum(probabilities(run.outputs[-1, 0])) <= rng.random()).sum())
            wanted += CHARS.tokens[token]
            run = model.forward(params, np.array([[token]]), run.state)
        assert written(model, params, prime=prime, length=20) == wanted


def test_the_prime_matters_from_its_first_character_on() -> None:
    model, params = network(init_name="normal", init_scale=2.0)
    assert len({written(model, params, prime=first + "bcde", length=50) for first in "aceg"}) == 4


# what is refused


def test_an_unknown_character_is_named_before_anything_is_drawn() -> None:
    model, params = network()
    with pytest.raises(DataError, match=r"'é' \(U\+00E9\) at line 2, column 3"):
        sample(model, params, CHARS, rng=np.random.default_rng(0), prime="abc\nabé")


@pytest.mark.parametrize(
    "asked",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_k": 0},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": float("nan")},
        {"length": -1},
    ],
    ids=str,
)
def test_an_option_that_means_nothing_is_refused_before_anything_is_drawn(asked: dict[str, Any]) -> None:
    model, params = network()
    name = next(iter(asked)).replace("_", "-")
    with pytest.raises(ConfigError, match=f"{name} must be .*, got"):
        sample(model, params, CHARS, rng=np.random.default_rng(0), **asked)


# streaming


def test_text_comes_as_it_is_drawn() -> None:
    model, params = network()
    pieces = sample(model, params, CHARS, rng=np.random.default_rng(0), length=10**15)
    assert "".join(itertools.islice(pieces, 50)) == written(model, params, length=50)


def test_memory_does_not_grow_with_what_is_written() -> None:
    vocabulary = Vocabulary.build(" ".join(letter * 300 for letter in "abcdefgh"), "word")
    model, params = network(vocabulary)
    pieces = sample(model, params, vocabulary, rng=np.random.default_rng(0), length=10**15)
    tracemalloc.start()
    try:
        for _ in itertools.islice(pieces, 200):
            pass
        before, _ = tracemalloc.get_traced_memory()
        written = sum(len(piece) for piece in itertools.islice(pieces, 800))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert written > 100_000
    assert after - before < 40_000


def test_no_length_is_no_text() -> None:
    model, params = network()
    assert written(model, params, length=0) == ""
    assert written(model, params, length=0, prime="abc") == ""


# vocabularies


def test_bytes_become_characters_as_they_are_completed() -> None:
    model, params, vocabulary = cycle("\né☃")
    pieces = list(
        sample(model, params, vocabulary, rng=np.random.default_rng(0), length=7, temperature=0, prime="\n")
    )
    assert pieces == ["", "é", "", "", "☃", "\n", "", "\ufffd"]  # the last was cut off in a character
    assert "".join(pieces[:-2]) == "é☃\n"


def test_a_prime_may_hold_characters_of_many_bytes() -> None:
    model, params, vocabulary = cycle("é☃\n")
    for prime, wanted in [("é", "☃\n"), ("☃", "\né"), ("ü☃", "\né"), ("", "é☃")]:
        text = written(model, params, vocabulary=vocabulary, prime=prime, length=6, temperature=0)
        assert text.startswith(wanted), prime


def test_words_are_joined_by_spaces_and_lines_end() -> None:
    vocabulary = Vocabulary.build("one two\nthree four five\n", "word")
    model, params = network(vocabulary)
    text = written(model, params, vocabulary=vocabulary, length=200)
    lines = text.split("\n")
    assert len(lines) > 5
    assert all(line == " ".join(line.split()) for line in lines)
    assert {word for line in lines for word in line.split()} <= set(vocabulary.tokens)


def test_a_prime_of_words_may_hold_unknown_ones_or_none() -> None:
    vocabulary = Vocabulary.build("one two\nthree four five\n", "word")
    model, params = network(vocabulary)
    unknown = written(model, params, vocabulary=vocabulary, prime="six", length=20)
    assert unknown == written(model, params, vocabulary=vocabulary, prime="<unk>", length=20)
    nothing = written(model, params, vocabulary=vocabulary, length=20)
    for blank in (" ", "   \t"):
        assert written(model, params, vocabulary=vocabulary, prime=blank, length=20) == nothing


def test_without_a_prime_text_begins_as_a_new_line() -> None:
    model, params = network()
    assert written(model, params, length=30) == written(model, params, length=30, prime="\n")


def test_a_prime_is_read_in_pieces_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    model, params = network()
    wanted = written(model, params, prime="abcdefgh" * 40)
    largest, real = 0, Model.forward

    def forward(self: Model, params: Params, x: Array, *rest: Any) -> Any:
        nonlocal largest
        largest = max(largest, x.size * max(self.outputs, 8 * self.hidden))
        return real(self, params, x, *rest)

    monkeypatch.setattr(Model, "forward", forward)
    monkeypatch.setattr(evaluate, "MOST_NUMBERS", 1000)
    assert written(model, params, prime="abcdefgh" * 40) == wanted
    assert 500 < largest <= 1000
