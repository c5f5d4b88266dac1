"""Vocabularies: text to token ids and back. What is a kind's own is in :mod:`bptt.data.text.tokenizers`."""

import codecs
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.data.text.tokenizers import END, TOKENIZERS, Kind, Tokenizer, tokenizer
from bptt.errors import ConfigError, DataError
from bptt.types import Array

_TYPES = ((np.uint8, 1 << 8), (np.uint16, 1 << 16), (np.int32, 1 << 31))


@dataclass(frozen=True)
class Vocabulary:
    r"""The tokens of one kind that a model knows; a token's id is its place among them.

    Parameters
    ----------
    kind : {"char", "byte", "word", "bpe"}
    tokens : tuple of str
        Distinct characters; the bytes' names, 0x00 to 0xff; distinct words, with `<eos>` and `<unk>` among
        them; or strings of bytes, a character of the byte's number for each, the 256 bytes first, and each
        of the others two that stand before it, joined. Where sequences are by themselves also "", which
        ends them.

    Raises
    ------
    DataError
        The tokens are none, not distinct or not of that kind.

    Examples
    --------
    >>> vocabulary = Vocabulary.build("hello\n", "char")
    >>> vocabulary.tokens
    ('\n', 'e', 'h', 'l', 'o')
    >>> vocabulary.encode("hole")
    array([2, 4, 3, 1], dtype=int32)
    >>> vocabulary.decode([2, 4, 3, 1])
    'hole'
    """

    kind: Kind
    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.kind not in tuple(TOKENIZERS):
            kinds = ", ".join(TOKENIZERS)
            raise DataError(f"vocabulary: kind must be one of {kinds}, got {_brief(self.kind)}")
        if not any(self.tokens):
            raise DataError(f"vocabulary: no {self.kind} tokens: the text has none")
        if len(set(self.tokens)) < len(self.tokens):
            twice = Counter(self.tokens).most_common(1)[0][0]
            raise DataError(f"vocabulary: token {twice!r:.60} occurs more than once")
        _ = self._tokenizer  # which says whether they are of that kind

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return TOKENIZERS[self.kind](self.tokens)

    @classmethod
    def build(
        cls,
        text: str | bytes | Iterable[str | bytes],
        kind: Kind,
        *,
        max_size: int | None = None,
        least: int = 1,
    ) -> "Vocabulary":
        r"""Make the vocabulary of a text, or of several.

        Characters are sorted. Words begin with `<eos>` and `<unk>`; the others follow from the most
        frequent to the rarest, those of one frequency in alphabetical order. Subwords (``"bpe"``) are learnt
        by the `tokenizers` library, which is the extra ``bptt[bpe]``.

        Parameters
        ----------
        text : str, or for bytes also bytes; or some of them
        kind : {"char", "byte", "word", "bpe"}
        max_size : int, optional
            How many tokens a vocabulary of words may hold, `<eos>` and `<unk>` counted; the rarest go. Of
            subwords, the 256 bytes counted, 2,000 by default.
        least : int
            How often a word must occur to be held, unless the text holds `<unk>` itself, or no word does so:
            at 2 the words that are there once are `<unk>`, which is so trained.

        Raises
        ------
        ConfigError
            An unknown kind, a `max_size` that cannot be had, or no library to learn subwords.
        DataError
            The text has no tokens of that kind.

        Examples
        --------
        >>> Vocabulary.build("a rose is a rose\n", "word", max_size=4).tokens
        ('<eos>', '<unk>', 'a', 'rose')
        """
        its = tokenizer(kind)
        if max_size is not None and not its.is_sized:
            raise ConfigError(f"max_size is for word and bpe tokens; got {kind} tokens")
        texts = [text] if isinstance(text, str | bytes) else text
        return cls(kind, tuple(its.collect(texts, max_size, least)))

    @classmethod
    def learnt(
        cls,
        train: Iterable[str | bytes],
        rest: Iterable[str | bytes],
        kind: Kind,
        *,
        max_size: int | None = None,
        known: "Vocabulary | None" = None,
    ) -> "Vocabulary":
        """Return the vocabulary of training texts: their words or subwords, the characters of the rest, too.

        A word that is only in the rest is `<unk>`; there is no such character. Without a `max_size` so is a
        word that the training texts have once, or else `<unk>` would never be trained; texts that have
        `<unk>` themselves train it, and keep their words. What is new beside `known` tokens follows these.
        """
        texts = chain(train, () if tokenizer(kind).is_sized else rest)
        least = 2 if max_size is None else 1
        if known is not None:
            return known.extended(texts, max_size=max_size, least=least)
        return cls.build(texts, kind, max_size=max_size, least=least)

    def extended(
        self, text: str | bytes | Iterable[str | bytes], *, max_size: int | None = None, least: int = 1
    ) -> "Vocabulary":
        r"""Return this vocabulary, followed by the tokens of a text that it does not hold.

        Parameters
        ----------
        text : str, or for bytes also bytes; or some of them
        max_size : int, optional
            How many tokens a word vocabulary may hold, those known before counted.
        least : int
            As in `build`, of new words.

        Raises
        ------
        ConfigError
            A `max_size` that cannot be had.

        Examples
        --------
        >>> Vocabulary.build("hello", "char").extended("yellow").tokens
        ('e', 'h', 'l', 'o', 'w', 'y')
        """
        if max_size is not None and max_size < self.size - (END in self.tokens):
            raise ConfigError(f"--vocabulary {max_size} is less than the {self.size:,} words known already")
        its, known = tokenizer(self.kind), self._tokenizer.index
        if its.knows_all:
            return self
        found = its.collect([text] if isinstance(text, str | bytes) else text, None, least)
        new = [token for token in found if token not in known]
        room = None if max_size is None else max_size + (END in self.tokens)  # an end is not counted
        return type(self)(self.kind, (*self.tokens, *new)[:room])

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def size(self) -> int:
        """V, how many tokens there are."""
        return len(self.tokens)

    def with_end(self) -> "Vocabulary":
        """Return the vocabulary with a token that ends sequences, which no text holds.

        Examples
        --------
        >>> Vocabulary.build("hello", "char").with_end().tokens
        ('e', 'h', 'l', 'o', '')
        """
        return self if END in self.tokens else replace(self, tokens=(*self.tokens, END))

    @cached_property
    def end(self) -> int | None:
        """The token that ends a sequence; None where sequences have no ends."""
        return self.tokens.index(END) if END in self.tokens else None

    @property
    def unit(self) -> str:
        """What a token is called: a char, a byte, a word, or else a token."""
        return self._tokenizer.unit

    @property
    def unknown(self) -> int | None:
        """The token `<unk>`, where words that are not held become one."""
        its = self._tokenizer
        return None if its.unknown is None else its.index[its.unknown]

    @property
    def start(self) -> int:
        """The token to begin from when no text is given: what ends a sequence or a line, or else 0."""
        line_end = self.line_end
        return next((token for token in (self.end, line_end) if token is not None), 0)

    @property
    def newline(self) -> int | None:
        """The token of a newline; None where there is none."""
        at = self.line_end
        return at if at is not None and self.written(at) == "\n" else None

    def written(self, token_id: int) -> str:
        """Return how a token by itself is written; of bytes that are no characters the token."""
        text = self._tokenizer.spell(token := self.tokens[token_id], None) if token_id != self.end else ""
        try:
            return text if isinstance(text, str) else text.decode()
        except UnicodeDecodeError:
            return token

    def lacks(self, text: str) -> set[str]:
        """Return the characters of a text that cannot be encoded: none of kinds that know every text."""
        return self._tokenizer.lacks(text)

    @property
    def line_end(self) -> int | None:
        """The token after which a line begins, or for want of one a word; None where there is neither."""
        known = self._tokenizer.index
        return next((known[token] for token in self._tokenizer.line_ends if token in known), None)

    def encode(self, text: str | bytes, *, compact: bool = False) -> npt.NDArray[Any]:
        r"""Return the ids of a text's tokens.

        Parameters
        ----------
        text : str, or for bytes also bytes
        compact : bool
            Give the ids in the smallest of uint8, uint16 and int32 that holds them all, for texts that fill
            much of the memory.

        Returns
        -------
        (L,) int32
            A word that the vocabulary does not hold is `<unk>`.

        Raises
        ------
        DataError
            A character that the vocabulary does not hold.

        Examples
        --------
        >>> Vocabulary.build("one rose\n", "word").encode("one\nday")
        array([2, 0, 1], dtype=int32)
        >>> Vocabulary.build("", "byte").encode("hé")
        array([104, 195, 169], dtype=int32)
        """
        smallest = next(dtype for dtype, most in _TYPES if self.size <= most)
        return self._tokenizer.encode(text, np.dtype(smallest if compact else np.int32))

    def decode(self, ids: Iterable[int] | Array) -> str:
        r"""Return the text that the ids stand for.

        Words are joined by one space and `<eos>` is a newline; bytes that are not UTF-8 become U+FFFD. All
        other texts are decoded exactly.

        Parameters
        ----------
        ids : (L,) integers
            From 0 to V - 1; any other is a DataError.

        Examples
        --------
        >>> vocabulary = Vocabulary.build("one rose\n", "word")
        >>> vocabulary.decode(vocabulary.encode("  one   rose \n one day\n"))
        'one rose\none <unk>\n'
        """
        decoder = self.decoder()
        tokens = ids.tolist() if isinstance(ids, np.ndarray) else ids
        return "".join([decoder.feed(token) for token in tokens]) + decoder.finish()

    def decoder(self) -> "Decoder":
        """Return a decoder that takes one token at a time."""
        return Decoder(self)

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as JSON values."""
        return {"kind": self.kind, "tokens": list(self.tokens)}

    @classmethod
    def from_json(cls, data: object) -> "Vocabulary":
        """Return the vocabulary that `to_json` wrote; anything else is a DataError."""
        if not isinstance(data, dict) or data.keys() != {"kind", "tokens"}:
            raise DataError('vocabulary: want {"kind": ..., "tokens": [...]}, got ' + _brief(data))
        tokens = data["tokens"]
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise DataError(f"vocabulary: tokens must be a list of strings, got {_brief(tokens)}")
        return cls(data["kind"], tuple(tokens))


class Decoder:
    r"""Turns tokens into text one at a time, as a model emits them.

    Examples
    --------
    >>> decoder = Vocabulary.build("", "byte").decoder()
    >>> [decoder.feed(byte) for byte in (104, 195, 169)]
    ['h', '', 'é']
    >>> decoder.finish()
    ''
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._spell = tokenizer(vocabulary.kind).spell
        self._before: str | None = None
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token_id: int) -> str:
        """Return the text that this token completes: none in the middle of a character's bytes."""
        vocabulary = self._vocabulary
        if not 0 <= token_id < vocabulary.size:
            raise DataError(f"{vocabulary.kind}: token ids are 0 to {vocabulary.size - 1}, got {token_id}")
        token = vocabulary.tokens[token_id]
        if token == END:
            left, self._before = self.finish(), None
            self._utf8.reset()
            return left
        text, self._before = self._spell(token, self._before), token
        return self._utf8.decode(text) if isinstance(text, bytes) else text

    def finish(self) -> str:
        """Return what is left at the end: U+FFFD for a character whose bytes broke off."""
        return self._utf8.decode(b"", final=True)


def _brief(value: object) -> str:
    """Return what a file held, shortly: values that may be deep or huge are named by their type."""
    return f"{value!r:.60}" if isinstance(value, str | None) else f"a {type(value).__name__}"
