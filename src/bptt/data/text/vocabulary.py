"""Vocabularies: text to token ids and back. What is a kind's own is in :mod:`bptt.data.text.tokenizers`."""

import codecs
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.data.text.tokenizers import TOKENIZERS, UNK, Kind, Tokenizer, tokenizer
from bptt.errors import ConfigError, DataError
from bptt.types import Array

_TYPES = ((np.uint8, 1 << 8), (np.uint16, 1 << 16), (np.int32, 1 << 31))


@dataclass(frozen=True)
class Vocabulary:
    r"""The tokens of one kind that a model knows; a token's id is its place among them.

    Parameters
    ----------
    kind : {"char", "byte", "word"}
    tokens : tuple of str
        Distinct characters; the bytes' names, 0x00 to 0xff; or distinct words, with `<eos>` and `<unk>`
        among them.

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
        if not self.tokens:
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
        cls, text: str | bytes | Iterable[str | bytes], kind: Kind, *, max_size: int | None = None
    ) -> "Vocabulary":
        r"""Make the vocabulary of a text, or of several.

        Characters are sorted. Words begin with `<eos>` and `<unk>`; the others follow from the most
        frequent to the rarest, those of one frequency in alphabetical order.

        Parameters
        ----------
        text : str, or for bytes also bytes; or some of them
        kind : {"char", "byte", "word"}
        max_size : int, optional
            How many tokens a word vocabulary may hold, `<eos>` and `<unk>` counted; the rarest go.

        Raises
        ------
        ConfigError
            An unknown kind, or a `max_size` that cannot be had.
        DataError
            The text has no tokens of that kind.

        Examples
        --------
        >>> Vocabulary.build("a rose is a rose\n", "word", max_size=4).tokens
        ('<eos>', '<unk>', 'a', 'rose')
        """
        its = tokenizer(kind)
        if max_size is not None and its.unknown is None:
            raise ConfigError(
                f"max_size is for word tokens, which have {UNK} for the rest; got {kind} tokens"
            )
        return cls(kind, tuple(its.collect([text] if isinstance(text, str | bytes) else text, max_size)))

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def size(self) -> int:
        """V, how many tokens there are."""
        return len(self.tokens)

    @property
    def start(self) -> int:
        """The token to begin from when no text is given: the one that ends a line, if there is one."""
        known = self._tokenizer.index
        return next((known[token] for token in self._tokenizer.line_ends if token in known), 0)

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

        Words are joined by one space and `<eos>` is a newline; bytes that are not UTF-8 become U+FFFD.

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
        text, self._before = self._spell(token, self._before), token
        return self._utf8.decode(text) if isinstance(text, bytes) else text

    def finish(self) -> str:
        """Return what is left at the end: U+FFFD for a character whose bytes broke off."""
        return self._utf8.decode(b"", final=True)


def _brief(value: object) -> str:
    """Return what a file held, shortly: values that may be deep or huge are named by their type."""
    return f"{value!r:.60}" if isinstance(value, str | None) else f"a {type(value).__name__}"
