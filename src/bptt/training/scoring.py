"""How well texts are predicted: a whole one, or each of many by itself.

Each of many is read from a zero state, or what the model starts from, after the token that sampling starts
with, so that its first token counts, too. So does its end: the token that ends sequences where the model has
one, or the newline of a model of one long text.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bptt.data.sequences import Sequences
from bptt.data.text import Vocabulary
from bptt.data.text.tokenizers import tokenizer
from bptt.errors import DataError
from bptt.nets import evaluate
from bptt.nets.model import Model
from bptt.types import Array, Params


@dataclass(frozen=True)
class Score:
    """How well a text is predicted.

    Attributes
    ----------
    text : str
        Which text.
    tokens : int
        How many were predicted.
    start : str
        Where the state comes from.
    nats : float
        Per token.
    characters : int or None
        Of the text that the tokens are, where they are subwords: with it, texts cut otherwise compare.
    unknown : float or None
        The part of the tokens that are `<unk>`, where they are words: a loss says less, the more there are.
    """

    text: str
    tokens: int
    start: str
    nats: float
    characters: int | None = None
    unknown: float | None = None

    @classmethod
    def of(cls, text: str, start: str, nats: float, ids: Array, vocabulary: Vocabulary) -> "Score":
        """Return the score of a text of one piece, whose first token is not predicted."""
        unk = vocabulary.unknown
        unknown = None if unk is None else float(np.mean(ids[1:] == unk))
        rest = len(vocabulary.decode(ids[1:])) if vocabulary.kind == "bpe" else None
        return cls(text, len(ids) - 1, start, nats, rest, unknown)

    @property
    def bits(self) -> float:
        """Bits per token."""
        return self.nats / math.log(2)

    @property
    def perplexity(self) -> float:
        """exp(nats): as if so many tokens were equally likely."""
        return math.exp(min(self.nats, 700))

    @property
    def bits_per_character(self) -> float | None:
        """Bits per character of the text, where its tokens are subwords."""
        return None if self.characters is None else self.bits * self.tokens / self.characters

    def to_json(self) -> dict[str, Any]:
        """Return the score and its other units as JSON values."""
        values = {**asdict(self), "bits": self.bits, "perplexity": self.perplexity}
        values["bits_per_character"] = self.bits_per_character
        return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True)
class LineScore:
    """How likely a model finds a text.

    Attributes
    ----------
    line : int
        The line of its file that it begins at, or its number, from 1.
    text : str
    tokens : int
        How many count: with the end, without what was skipped.
    total : float
        The sum of their losses, in nats: -log of the text's probability.
    unknown : int
        Characters that were skipped; of words those that are `<unk>`, which count unless they are skipped.
    each : list of (str, float), or None
        Each token with its loss; the end is "", or the newline. A word that is skipped is not among them. Or
        each word, with that of the white space before it; what is behind the last is with the end, "".
    """

    line: int
    text: str
    tokens: int
    total: float
    unknown: int
    each: list[tuple[str, float]] | None = None

    @property
    def mean(self) -> float:
        """Nats per token; NaN where there is none."""
        return self.total / self.tokens if self.tokens else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON values."""
        found: dict[str, Any] = {"line": self.line, "tokens": self.tokens, "total": self.total}
        found |= {"mean": self.mean, "unknown": self.unknown, "text": self.text}
        if self.each is not None:
            found["each"] = [{"token": token, "loss": loss} for token, loss in self.each]
        return found


def score_texts(
    model: Model,
    params: Params,
    vocabulary: Vocabulary,
    texts: Sequence[str | bytes],
    lines: Sequence[int],
    *,
    features: Array | None = None,
    skip_unknown: bool = False,
    tokens: bool = False,
    words: bool = False,
) -> Iterator[LineScore]:
    """Yield the score of each text, in their order.

    Parameters
    ----------
    model : Model
    params : dict of arrays
    vocabulary : Vocabulary
    texts : M str, or bytes
    lines : M int
        The line at which each begins.
    features : (M, F), optional
        What each starts from.
    skip_unknown : bool
        Leave out characters that the vocabulary does not hold; do not count words that are `<unk>`.
    tokens, words : bool
        Give each token's loss, too, or each word's.

    Raises
    ------
    DataError
        A character is not known, and is not to be skipped.
    """
    read = [_Read.of(text, vocabulary, line, skip_unknown) for text, line in zip(texts, lines, strict=True)]
    some = [k for k, own in enumerate(read) if len(own.targets)]
    losses: dict[int, Array] = {}
    if some:
        whole = Sequences(
            np.concatenate([np.append(vocabulary.start, read[k].targets[:-1]) for k in some]),
            np.array([len(read[k].targets) for k in some]),
            np.concatenate([read[k].targets for k in some]),
            None if features is None else features[some],
        )
        losses = {some[number]: own.copy() for number, own in evaluate.each(model, params, whole)}
    for k, own in enumerate(read):
        found = losses.get(k, np.zeros(0))
        counted = np.ones(len(found), bool) if own.left_out is None else ~own.left_out
        each = None
        if tokens or words:
            named = zip(own.targets[counted].tolist(), found[counted].tolist(), strict=True)
            each = _by_word(named, vocabulary) if words else [(vocabulary.written(k), x) for k, x in named]
        yield LineScore(
            line=lines[k],
            text=own.text,
            tokens=int(counted.sum()),
            total=float(found[counted].sum(dtype=np.float64)),
            unknown=own.unknown,
            each=each,
        )


def _by_word(named: Iterable[tuple[int, float]], vocabulary: Vocabulary) -> list[tuple[str, float]]:
    """Return the words of a text, each with the loss of its tokens and of the white space before it."""
    if tokenizer(vocabulary.kind).space:  # each token is one
        return [(vocabulary.written(token), loss) for token, loss in named]
    decoder, found, word, total = vocabulary.decoder(), list[tuple[str, float]](), "", 0.0
    for token, loss in named:
        part = "" if token == vocabulary.end else decoder.feed(token)
        if word.strip() and (token == vocabulary.end or part[:1].isspace()):
            found.append((word.strip(), total))
            word, total = "", 0.0
        word, total = word + part, total + loss
    return [*found, (word.strip(), total)]


@dataclass(frozen=True, eq=False)
class _Read:
    """A text's tokens with its end, which of them do not count, and what is not known of it."""

    text: str
    targets: Array
    unknown: int
    left_out: Array | None = None

    @classmethod
    def of(cls, text: str | bytes, vocabulary: Vocabulary, line: int, skip_unknown: bool) -> "_Read":
        its, unknown, left_out, kept = tokenizer(vocabulary.kind), 0, None, text
        end = vocabulary.end if vocabulary.end is not None else vocabulary.newline
        if isinstance(text, str) and (odd := vocabulary.lacks(text)):
            if not skip_unknown:
                at = min(text.index(character) for character in odd)
                raise DataError(
                    f"line {line:,}, column {at + 1}: {text[at]!r} (U+{ord(text[at]):04X}) is not among the "
                    f"vocabulary's characters; --skip-unknown leaves such out and counts them"
                )
            unknown = sum(text.count(character) for character in odd)
            kept = text.translate(dict.fromkeys(map(ord, odd)))
        ids = vocabulary.encode(kept)
        targets = ids if end is None else np.append(ids, end)
        if its.unknown is not None:
            is_unknown = targets == vocabulary.tokens.index(its.unknown)
            unknown, left_out = int(is_unknown.sum()), is_unknown if skip_unknown else None
        shown = text if isinstance(text, str) else text.decode(errors="replace")
        return cls(shown, targets.astype(np.int32), unknown, left_out)
