"""Tokenizers: all that is particular to a kind of token. A kind is a class, and its line in `TOKENIZERS`.

A token is a character, a byte of the UTF-8 text, a word, or some bytes of it that were learnt to go together.
Words are read as the Penn Treebank files conventionally are: what stands between white space is a word, and
every newline is the token `<eos>`.
"""

import re
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bptt.data.text import subwords
from bptt.errors import ConfigError, DataError

Kind: TypeAlias = Literal["char", "byte", "word", "bpe"]

EOS = "<eos>"
"""The word that ends a line."""

UNK = "<unk>"
"""The word that stands for all words that the vocabulary does not hold."""

END = ""
"""The token that ends a sequence, where each is by itself: no text holds it, and none is written for it."""

PIECE = 1 << 20
"""Characters that are turned into tokens at a time."""

MOST_WORDS = 1 << 22
"""The most different words that are counted: their table takes some 600 MB."""

_SPACE = re.compile(r"\s")  # what str.split splits at


class Tokenizer(ABC):
    """What a kind of token is; an instance knows the tokens of a vocabulary."""

    reads_bytes: ClassVar[bool] = False  # of a file, as they are, where others take UTF-8 text
    knows_all: ClassVar[bool] = False  # whether every vocabulary of the kind knows every text
    unknown: ClassVar[str | None] = None  # the token for whatever a vocabulary does not hold
    is_each: ClassVar[bool] = False  # whether every character, or byte, is a token, whatever is around it
    is_sized: ClassVar[bool] = False  # whether it is asked how many tokens a vocabulary may have
    unit: ClassVar[str]  # what one is called
    line_ends: ClassVar[tuple[str, ...]]  # after which a line begins, the best first
    space: ClassVar[str] = ""  # what is written between two tokens
    longest: ClassVar[int] = 8  # bytes of text a token: four of a character, three of a line's end

    def __init__(self, tokens: Sequence[str]) -> None:
        self.index = {token: index for index, token in enumerate(tokens) if token != END}

    @staticmethod
    @abstractmethod
    def collect(texts: Iterable[str | bytes], max_size: int | None, least: int = 1) -> Sequence[str]:
        """Return a vocabulary for texts.

        `max_size` is given only where `is_sized`. Where `unknown` stands for the rest, it does for what the
        texts have less than `least` times, too, unless that is all, or they have it themselves.
        """

    @staticmethod
    def cut(text: str | bytes) -> int:
        """Return where a text is split 90 : 10; 0 where it cannot be."""
        return int(0.9 * len(text))

    @classmethod
    @abstractmethod
    def split(cls, text: str | bytes) -> Iterator[str]:
        """Yield a text's tokens."""

    @abstractmethod
    def encode(self, text: str | bytes, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return the ids of a text's tokens."""

    def lacks(self, text: str) -> set[str]:
        """Return the characters of a text that the vocabulary does not hold and needs."""
        return set()

    @staticmethod
    def spell(token: str, before: str | None) -> str | bytes:
        """Return what is written for a token after another one; None: at the start. Bytes may break off."""
        return token


class Characters(Tokenizer):
    """A token is a character; the vocabulary knows all those of the texts, sorted."""

    is_each = True
    unit = "char"
    line_ends = ("\n", " ")

    def __init__(self, tokens: Sequence[str]) -> None:
        if any(len(token) != 1 for token in tokens if token != END):
            raise DataError("vocabulary: char tokens must be one character each")
        super().__init__(tokens)

    @staticmethod
    def collect(texts: Iterable[str | bytes], max_size: int | None, least: int = 1) -> Sequence[str]:
        return sorted(set[str]().union(*(_as_str(text, "char") for text in texts)))

    @classmethod
    def split(cls, text: str | bytes) -> Iterator[str]:
        return iter(_as_str(text, "char"))

    def encode(self, text: str | bytes, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        text = _as_str(text, "char")
        encoded = np.empty(len(text), dtype)
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE].encode("utf-32-le", "surrogatepass")
            part = self._table[np.frombuffer(piece, "<u4")]
            if (part < 0).any():
                at = start + int(np.argmax(part < 0))
                line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
                raise DataError(
                    f"char: {text[at]!r} (U+{ord(text[at]):04X}) at line {line}, column {column} is not "
                    f"among the vocabulary's {len(self.index)} characters; leave it out, or train with "
                    "--tokens byte, which knows every text"
                )
            encoded[start : start + PIECE] = part
        return encoded

    def lacks(self, text: str) -> set[str]:
        return set(text) - self.index.keys()

    @cached_property
    def _table(self) -> npt.NDArray[np.int32]:
        """The id of each character by its code, -1 where there is none."""
        table = np.full(sys.maxunicode + 1, -1, np.int32)
        table[[ord(token) for token in self.index]] = list(self.index.values())
        return table


class Bytes(Tokenizer):
    """A token is a byte, and its id the byte's value; the vocabulary is the same for every text."""

    tokens = tuple(f"0x{byte:02x}" for byte in range(256))
    unit = "byte"
    reads_bytes = True
    is_each = True
    knows_all = True
    line_ends = ("0x0a",)

    def __init__(self, tokens: Sequence[str]) -> None:
        if tuple(token for token in tokens if token != END) != self.tokens or END in tokens[:-1]:
            raise DataError("vocabulary: byte tokens must be 0x00 to 0xff in order")
        super().__init__(tokens)

    @staticmethod
    def collect(texts: Iterable[str | bytes], max_size: int | None, least: int = 1) -> Sequence[str]:
        return Bytes.tokens

    @classmethod
    def split(cls, text: str | bytes) -> Iterator[str]:
        return (cls.tokens[byte] for byte in _as_bytes(text))

    @staticmethod
    def spell(token: str, before: str | None) -> bytes:
        return bytes([int(token, 16)])

    def encode(self, text: str | bytes, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        return np.frombuffer(_as_bytes(text), np.uint8).astype(dtype)


class Words(Tokenizer):
    """A token is a word; a vocabulary has the most frequent first, those of one frequency alphabetically."""

    unit = "word"
    unknown = UNK
    is_sized = True
    line_ends = (EOS,)
    space = " "
    longest = 64  # on average

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__(tokens)
        if not {EOS, UNK} <= self.index.keys():
            raise DataError(f"vocabulary: word tokens must hold {EOS} and {UNK}")
        if any(token.split() != [token] for token in tokens if token != END):
            raise DataError("vocabulary: word tokens must not be empty or hold white space")

    @classmethod
    def collect(cls, texts: Iterable[str | bytes], max_size: int | None, least: int = 1) -> Sequence[str]:
        if max_size is not None and max_size < 3:
            raise ConfigError(f"max_size must be at least 3 ({EOS}, {UNK} and one word), got {max_size}")
        counts: Counter[str] = Counter()
        for text in texts:
            for piece in cls._pieces(text):
                counts.update(piece)
                if len(counts) > MOST_WORDS:
                    raise DataError(
                        f"vocabulary: the text has more than {MOST_WORDS:,} different words; char and "
                        "byte tokens know every word there is"
                    )
        if not counts.keys() - {EOS}:
            raise DataError("vocabulary: no word tokens: the text holds nothing but white space")
        ranked = sorted(counts.keys() - {EOS, UNK}, key=lambda word: (-counts[word], word))
        often = [word for word in ranked if counts[word] >= least]
        return (EOS, UNK, *(ranked if UNK in counts or not often else often))[:max_size]

    @staticmethod
    def cut(text: str | bytes) -> int:
        """Return where a text is split, after a white space; 0 where no word is before it."""
        text = _as_str(text, "word")
        at = int(0.9 * len(text))
        at = max(text.rfind(" ", 0, at), text.rfind("\n", 0, at)) + 1
        return 0 if text[:at].isspace() else at

    @classmethod
    def split(cls, text: str | bytes) -> Iterator[str]:
        r"""Yield a text's words, with `<eos>` for each newline.

        A last line without its newline is not ended, so that a text to be continued can stop anywhere.

        Examples
        --------
        >>> list(Words.split("no , it was\nblack"))
        ['no', ',', 'it', 'was', '<eos>', 'black']
        """
        return (word for piece in cls._pieces(text) for word in piece)

    def encode(self, text: str | bytes, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        known, unknown = self.index, self.index[UNK]
        ids = (known.get(word, unknown) for piece in self._pieces(text) for word in piece)
        return np.fromiter(ids, dtype)

    @staticmethod
    def spell(token: str, before: str | None) -> str:
        return "\n" if token == EOS else token if before in (None, EOS) else f" {token}"

    @classmethod
    def _pieces(cls, text: str | bytes) -> Iterator[list[str]]:
        """Yield the words of a million characters or so at a time: a list of all takes ten times the text."""
        text, start = _as_str(text, "word"), 0
        while start < len(text):
            end = _SPACE.search(text, start + PIECE)
            stop = end.start() if end else len(text)
            yield cls._words(text[start:stop].replace("\n", f" {EOS} "))
            start = stop

    @staticmethod
    def _words(text: str) -> list[str]:
        return text.split()


class Subwords(Tokenizer):
    """A token is a byte, or bytes that were learnt to go together (see :mod:`bptt.data.text.subwords`)."""

    unit = "token"
    knows_all = True
    is_sized = True
    line_ends = ("\n",)
    longest = 4 * subwords.LONGEST
    usual = 2000

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__(tokens)
        if END in tokens[:-1]:
            raise DataError("vocabulary: what ends a sequence must be the last of bpe tokens")
        self._joins = subwords.joins_of([token for token in tokens if token != END])

    @classmethod
    def collect(cls, texts: Iterable[str | bytes], max_size: int | None, least: int = 1) -> Sequence[str]:
        return subwords.learn((_as_str(text, "bpe") for text in texts), max_size or cls.usual)

    @classmethod
    def split(cls, text: str | bytes) -> Iterator[str]:
        """Yield the pieces that no token goes beyond: which tokens there are, a vocabulary says."""
        return subwords.pieces(_as_str(text, "bpe"))

    @staticmethod
    def spell(token: str, before: str | None) -> bytes:
        return token.encode("latin-1")

    def encode(self, text: str | bytes, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        index: dict[str, int] = {}  # of each different piece, which is cut once
        order = np.fromiter((index.setdefault(piece, len(index)) for piece in self.split(text)), np.int32)
        tokens, counts = subwords.cut_all([_as_bytes(piece, "bpe", text) for piece in index], self._joins)
        starts = np.cumsum(counts) - counts
        parts = [np.empty(0, dtype)]
        for start in range(0, len(order), PIECE):
            some = order[start : start + PIECE]
            begins, many = starts[some], counts[some]
            within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
            parts.append(tokens[np.repeat(begins, many) + within].astype(dtype))
        return np.concatenate(parts)


TOKENIZERS: dict[Kind, type[Tokenizer]] = {
    "char": Characters,
    "byte": Bytes,
    "word": Words,
    "bpe": Subwords,
}
"""The kinds of token, by the names that a run keeps."""


def tokenizer(kind: Kind) -> type[Tokenizer]:
    """Return what a kind of token is; a ConfigError where it is none."""
    if kind not in tuple(TOKENIZERS):
        raise ConfigError(f"tokens must be one of {', '.join(TOKENIZERS)}, got {kind!r}")
    return TOKENIZERS[kind]


def _as_str(text: str | bytes, kind: Kind) -> str:
    if isinstance(text, bytes):
        raise DataError(f"{kind} tokens are made from str, got bytes; decode them, or use --tokens byte")
    return text


def _as_bytes(text: str | bytes, kind: Kind = "byte", whole: str | bytes | None = None) -> bytes:
    """Return a text's bytes, or those of a part of a whole text, of which an error names the place."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        half = text[error.start]
        at = (whole if isinstance(whole, str) else text).index(half)
        raise DataError(f"{kind}: {half!r} at {at} is a lone surrogate; leave it out") from None
