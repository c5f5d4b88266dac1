"""What a model writes: tokens drawn one at a time, each fed back as the next input.

The state is all that is kept of what was written, so memory does not grow with length.
"""

import unicodedata
from collections.abc import Iterator
from typing import Literal

import numpy as np

from bptt.characters import crowded
from bptt.data.text.tokenizers import tokenizer
from bptt.data.text.vocabulary import Vocabulary
from bptt.errors import ConfigError
from bptt.nets import evaluate
from bptt.nets.model import Model
from bptt.nets.stepper import Stepper
from bptt.types import Array, Generator, Params


def sample(
    model: Model,
    params: Params,
    vocabulary: Vocabulary,
    *,
    rng: Generator,
    prime: str | bytes = "",
    length: int = 500,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    unk: bool = True,
) -> Iterator[str]:
    """Yield text, piece by piece as it is drawn; up to its end, where the vocabulary has one.

    Parameters
    ----------
    model : Model
        With token inputs and as many outputs.
    params : dict of arrays
    vocabulary : Vocabulary
    rng : Generator
    prime : str, or for bytes also bytes
        What the model reads before it writes; not repeated in what is yielded.
    length : int
        Tokens to draw.
    temperature : float
        Logits are divided by it: below 1 keeps to the likely, above 1 strays from it, 0 always takes the
        likeliest.
    top_k : int, optional
        Draw from the k likeliest tokens only.
    top_p : float, optional
        Draw from the likeliest tokens that together have probability p (Holtzman et al. 2020).
    unk : bool
        Whether `<unk>` may be drawn, where the tokens are words: if not, the others share its probability.

    Raises
    ------
    DataError
        If `prime` holds a character that the model never saw.
    ConfigError
        If an option means nothing.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> vocabulary = bptt.text.Vocabulary.build("abc", "char")
    >>> model = bptt.Model(inputs=3, outputs=3, hidden=4)
    >>> params = model.init(np.random.default_rng(0))
    >>> "".join(bptt.sample(model, params, vocabulary, rng=np.random.default_rng(1), length=5))
    'bcaca'
    """
    check_options(length, temperature, top_k, top_p)
    begun = begin(model, params, vocabulary, prime)
    never = never_drawn(vocabulary, unk)
    return _draw(model, params, vocabulary, rng, begun, length, temperature, top_k, top_p, never)


def normalised(prime: str, vocabulary: Vocabulary) -> tuple[str, str | None]:
    """Return a prime in the Unicode form of which the vocabulary knows most, and the form's name.

    One and the same é may be written as one character (NFC) or two (NFD). As long as no other form is known
    better, the prime stays as it is and the name is None; so it does where its combining marks are crowded.

    Examples
    --------
    >>> normalised("cafe\u0301", Vocabulary.build("café au lait", "char"))
    ('café', 'NFC')
    """
    its, known = tokenizer(vocabulary.kind), set(vocabulary.tokens)
    if its.knows_all:
        return prime, None

    def unknown(text: str) -> int:
        return sum(token not in known for token in its.split(text))

    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    best: tuple[str, str | None] = prime, None
    if not unknown(prime) or crowded(prime):
        return best
    for form in forms:
        if (text := unicodedata.normalize(form, prime)) != prime and unknown(text) < unknown(best[0]):
            best = text, form
    return best


def check_options(length: int, temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise a ConfigError for an option of `sample` that means nothing."""
    if length < 0:
        raise ConfigError(f"length must be at least 0, got {length}")
    if not 0 <= temperature < float("inf"):
        raise ConfigError(f"temperature must be at least 0 and finite, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top-k must be at least 1, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ConfigError(f"top-p must be above 0 and at most 1, got {top_p}")


def _draw(
    model: Model,
    params: Params,
    vocabulary: Vocabulary,
    rng: Generator,
    begun: tuple[Params, Array],
    length: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    never: int | None,
) -> Iterator[str]:
    decoder = vocabulary.decoder()
    state, logits = begun
    stepper = Stepper(model, params, state)
    for k in range(length):
        if never is not None:
            logits[never] = -np.inf
        # one random number a token, whatever the options
        token = drawn(probabilities(logits, temperature, top_k, top_p), rng.random())
        if token == vocabulary.end:
            break
        yield decoder.feed(token)
        if k + 1 < length:
            logits = stepper.read(np.array([token]))[0]
    if rest := decoder.finish():
        yield rest


def never_drawn(vocabulary: Vocabulary, unk: bool) -> int | None:
    """Return the token that is never to be drawn; ConfigError where it is `<unk>`, and there is none."""
    if not unk and vocabulary.unknown is None:
        raise ConfigError(f"--no-unk goes with words: a model of {vocabulary.unit}s writes no <unk>")
    return None if unk else vocabulary.unknown


def begin(
    model: Model,
    params: Params,
    vocabulary: Vocabulary,
    prime: str | bytes = "",
    features: Array | None = None,
) -> tuple[Params, Array]:
    """Return the states and logits (V,) after the start of a sequence and a prime."""
    read = vocabulary.encode(prime)
    if vocabulary.end is not None or not len(read):
        read = np.concatenate([[vocabulary.start], read]).astype(np.int32)
    first = None if features is None else np.asarray(features, np.float32)[None]
    model.start.expect(first, None)
    state = model.start.forward(params, first, None)
    some = min(evaluate.WINDOW, evaluate.steps_at_once(model))
    for start in range(0, len(read), some):  # a long prime is read in pieces
        run = model.forward(params, read[start : start + some, None], state)
        state = run.state
    assert state is not None  # something is read
    logits: Array = run.outputs[-1, 0]
    return state, logits


def drawn(p: Array, u: float) -> int:
    """Return the token that a number between 0 and 1 chooses: by the cumulative sum of probabilities."""
    token = int(np.searchsorted(np.cumsum(p), u * p.sum(), side="right"))
    return min(token, int(np.flatnonzero(p)[-1]))


def probabilities(
    logits: Array, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Array:
    """Return the probabilities to draw from, (V,) float64.

    Parameters
    ----------
    logits : (V,)
    temperature, top_k, top_p
        As in `sample`.

    Examples
    --------
    >>> probabilities(np.log([0.5, 0.3, 0.2]), top_k=2).round(3)
    array([0.625, 0.375, 0.   ])
    >>> probabilities(np.log([0.5, 0.3, 0.2]), temperature=0)
    array([1., 0., 0.])
    """
    z = logits.astype(np.float64)
    z = z - z.max()
    if temperature == 0:
        return np.asarray(np.arange(z.size) == z.argmax(), np.float64)
    with np.errstate(over="ignore"):  # at a temperature near 0 the unlikely are infinitely so
        p: Array = np.exp(z / temperature)
    p /= p.sum()
    if top_k is None and top_p is None:
        return p
    order = np.argsort(-p, kind="stable")
    if top_k is not None:
        p[order[top_k:]] = 0
    if top_p is not None:
        before = np.cumsum(p[order]) - p[order]
        p[order[before >= top_p * p.sum()]] = 0
    p /= p.sum()
    return p
