"""Vocabularies: text to token ids and back.

A token is a character, a byte of the UTF-8 text, or a word. Words are read as the Penn Treebank files
conventionally are: what stands between white space is a word, and every newline is the token `<eos>`.
"""

import codecs
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from bptt.errors import ConfigError, DataError
from bptt.types import Array

Kind: TypeAlias = Literal["char", "byte", "word"]

KINDS: tuple[Kind, ...] = get_args(Kind)

EOS = "<eos>"
"""The word that ends a line."""

UNK = "<unk>"
"""The word that stands for all words that the vocabulary does not hold."""

PIECE = 1 << 20
"""Characters that are turned into tokens at a time."""

MOST_WORDS = 1 << 22
"""The most different words that are counted: their table takes some 600 MB."""

_TYPES = ((np.uint8, 1 << 8), (np.uint16, 1 << 16), (np.int32, 1 << 31))

_SPACE = re.compile(r"\s")  # what str.split splits at

BYTES = tuple(f"0x{byte:02x}" for byte in range(256))
"""The names of the byte tokens: a byte's id is its value."""


def check_kind(kind: object) -> None:
    """Raise ConfigError unless `kind` is a kind of token."""
    if kind not in KINDS:
        raise ConfigError(f"tokens must be one of {', '.join(KINDS)}, got {kind!r}")


def words(text: str) -> list[str]:
    r"""Split a text into words, with `<eos>` for each newline.

    A last line without its newline is not ended, so that a text to be continued can stop anywhere.

    Examples
    --------
    >>> words("no , it was\nblack")
    ['no', ',', 'it', 'was', '<eos>', 'black']
    """
    return [word for piece in _word_pieces(text) for word in piece]


def _word_pieces(text: str) -> Iterator[list[str]]:
    """Yield a text's words, a million characters or so at a time: a list of all takes ten times the text."""
    start = 0
    while start < len(text):
        end = _SPACE.search(text, start + PIECE)
        stop = end.start() if end else len(text)
        yield text[start:stop].replace("\n", f" {EOS} ").split()
        start = stop


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + PIECE] for start in range(0, len(text), PIECE))


@dataclass(frozen=True)
class Vocabulary:
    r"""The tokens of one kind that a model knows; a token's id is its place among them.

    Parameters
    ----------
    kind : {"char", "byte", "word"}
    tokens : tuple of str
        Distinct characters; the 256 names in `BYTES`; or distinct words, with `<eos>` and `<unk>`
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
        if self.kind not in KINDS:
            raise DataError(f"vocabulary: kind must be one of {', '.join(KINDS)}, got {_brief(self.kind)}")
        if not self.tokens:
            raise DataError(f"vocabulary: no {self.kind} tokens: the text has none")
        if len(set(self.tokens)) < len(self.tokens):
            twice = Counter(self.tokens).most_common(1)[0][0]
            raise DataError(f"vocabulary: token {twice!r:.60} occurs more than once")
        if self.kind == "byte" and self.tokens != BYTES:
            raise DataError("vocabulary: byte tokens must be 0x00 to 0xff in order")
        if self.kind == "char" and any(len(token) != 1 for token in self.tokens):
            raise DataError("vocabulary: char tokens must be one character each")
        if self.kind == "word" and not {EOS, UNK} <= set(self.tokens):
            raise DataError(f"vocabulary: word tokens must hold {EOS} and {UNK}")
        if self.kind == "word" and any(token.split() != [token] for token in self.tokens):
            raise DataError("vocabulary: word tokens must not be empty or hold white space")

    @classmethod
    def build(cls, text: str | bytes, kind: Kind, *, max_size: int | None = None) -> "Vocabulary":
        r"""Make the vocabulary of a text.

        Characters are sorted. Words begin with `<eos>` and `<unk>`; the others follow from the most
        frequent to the rarest, those of one frequency in alphabetical order.

        Parameters
        ----------
        text : str, or for bytes also bytes
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
        check_kind(kind)
        if max_size is not None and kind != "word":
            raise ConfigError(
                f"max_size is for word tokens, which have {UNK} for the rest; got {kind} tokens"
            )
        if max_size is not None and max_size < 3:
            raise ConfigError(f"max_size must be at least 3 ({EOS}, {UNK} and one word), got {max_size}")
        if kind == "byte":
            return cls(kind, BYTES)
        text = _as_str(text, kind)
        if kind == "char":
            return cls.of_characters(text)
        counts: Counter[str] = Counter()
        for piece in _word_pieces(text):
            counts.update(piece)
            if len(counts) > MOST_WORDS:
                raise DataError(
                    f"vocabulary: the text has more than {MOST_WORDS:,} different words; char and "
                    "byte tokens know every word there is"
                )
        if not counts.keys() - {EOS}:
            raise DataError("vocabulary: no word tokens: the text holds nothing but white space")
        ranked = sorted(counts.keys() - {EOS, UNK}, key=lambda word: (-counts[word], word))
        return cls(kind, (EOS, UNK, *ranked)[:max_size])

    @classmethod
    def of_characters(cls, *texts: str) -> "Vocabulary":
        """Make the vocabulary of the characters of several texts."""
        return cls("char", tuple(sorted(set().union(*texts))))

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def size(self) -> int:
        """V, how many tokens there are."""
        return len(self.tokens)

    @property
    def start(self) -> int:
        """The token to begin from when no text is given: the one that ends a line, if there is one."""
        if self.kind == "byte":
            return ord("\n")
        candidates = (EOS,) if self.kind == "word" else ("\n", " ")
        return next((self._index[token] for token in candidates if token in self._index), 0)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

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
        dtype = np.dtype(next(t for t, most in _TYPES if self.size <= most) if compact else np.int32)
        if self.kind == "byte":
            return np.frombuffer(_as_bytes(text), np.uint8).astype(dtype)
        text = _as_str(text, self.kind)
        if self.kind == "word":
            known, unknown = self._index, self._index[UNK]
            ids = (known.get(word, unknown) for piece in _word_pieces(text) for word in piece)
            return np.fromiter(ids, dtype)
        encoded = np.empty(len(text), dtype)
        table = self._table
        for start, piece in enumerate(_pieces(text)):
            codes = np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), "<u4")
            part = table[codes]
            if (part < 0).any():
                raise DataError(self._unknown(text, start * PIECE + int(np.argmax(part < 0))))
            encoded[start * PIECE : start * PIECE + len(piece)] = part
        return encoded

    @cached_property
    def _table(self) -> npt.NDArray[np.int32]:
        """The id of each character by its code, -1 where there is none."""
        table = np.full(sys.maxunicode + 1, -1, np.int32)
        table[[ord(token) for token in self.tokens]] = np.arange(self.size)
        return table

    def _unknown(self, text: str, at: int) -> str:
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        return (
            f"char: {text[at]!r} (U+{ord(text[at]):04X}) at line {line}, column {column} is not among the "
            f"vocabulary's {self.size} characters; leave it out, or train with --tokens byte, "
            "which knows every text"
        )

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
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._line_starts = True

    def feed(self, token_id: int) -> str:
        """Return the text that this token completes: none in the middle of a character's bytes."""
        vocabulary = self._vocabulary
        if not 0 <= token_id < vocabulary.size:
            raise DataError(f"{vocabulary.kind}: token ids are 0 to {vocabulary.size - 1}, got {token_id}")
        if vocabulary.kind == "byte":
            return self._utf8.decode(bytes([token_id]))
        token = vocabulary.tokens[token_id]
        if vocabulary.kind == "char":
            return token
        space = "" if self._line_starts or token == EOS else " "
        self._line_starts = token == EOS
        return "\n" if token == EOS else space + token

    def finish(self) -> str:
        """Return what is left at the end: U+FFFD for a character whose bytes broke off."""
        return self._utf8.decode(b"", final=True)


def _brief(value: object) -> str:
    """Return what a file held, shortly: values that may be deep or huge are named by their type."""
    return f"{value!r:.60}" if isinstance(value, str | None) else f"a {type(value).__name__}"


def _as_str(text: str | bytes, kind: Kind) -> str:
    if isinstance(text, bytes):
        raise DataError(f"{kind} tokens are made from str, got bytes; decode them, or use --tokens byte")
    return text


def _as_bytes(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        at = error.start
        raise DataError(f"byte: {text[at]!r} at {at} is a lone surrogate; leave it out") from None
