"""Byte pairs: how subword tokens are learnt from a text, and how a text is cut into them.

::

    (1)  a text is pieces: a word or a number with the space before it, signs, white space
    (2)  a piece is the bytes of its UTF-8: tokens 0 to 255
    (3)  token k joins two before it: in the order of k, wherever the two are neighbours in a piece

So there is a token for every byte, and every text is what its tokens are, one after the other. Which two to
join is learnt by the `tokenizers` library, which nothing else asks for.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bptt.errors import ConfigError, DataError

BYTES = tuple(map(chr, range(256)))
"""The first tokens. A token is written as a character for each of its bytes, which has the byte's number."""

LONGEST = 32
"""The most characters of a piece: or else a text without spaces would be one."""

PIECE = re.compile(
    rf" ?[^\W\d_]{{1,{LONGEST}}}| ?\d{{1,{LONGEST}}}| ?(?:[^\w\s]|_){{1,{LONGEST}}}"
    rf"|\s{{1,{LONGEST}}}(?!\S)|\s{{1,{LONGEST}}}"
)

Joins = dict[tuple[int, int], int]
"""Token k by the two that it joins, in the order of k."""

_MOST = 1 << 22
"""Tokens that are ever learnt: a run's vocabulary holds no more."""

_TAKEN = 1 << 14
"""Bytes that the library takes at a time: it takes 256 times so many at once, and 50 bytes for each."""

_SOME = 1 << 15
"""Bytes of different pieces that are cut at a time: what stays in the processor's cache."""


def pieces(text: str) -> Iterator[str]:
    """Yield (1) of a text; together they are the text."""
    return (found[0] for found in PIECE.finditer(text))


def learn(texts: Iterable[str], size: int) -> Sequence[str]:
    """Return at most `size` tokens: the bytes, and the joins that are most frequent in the texts.

    Raises
    ------
    ConfigError
        If there is no room for a join, or the library is not installed.
    """
    if size <= len(BYTES):
        raise ConfigError(
            f"--vocabulary must be above {len(BYTES)} for bpe tokens, one for each byte; got {size}"
        )
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError:
        raise ConfigError(
            "--tokens bpe learns its tokens with the library tokenizers, which is not installed: "
            "pip install 'bptt[bpe]'"
        ) from None
    texts = list(texts)  # the library makes room at once for all that it is asked for
    size = min(size, _MOST, len(BYTES) + 4 * sum(map(len, texts)))
    # the library sees letters where there are bytes, and takes no white space and no letter for special
    library: Any = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    letters = [chr(256 + byte) for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, show_progress=False, initial_alphabet=letters
    )
    _listening(_spelt(texts), lambda spelt: library.train_from_iterator(spelt, trainer))
    ids: dict[str, int] = library.get_vocab()
    tokens, joins = list(BYTES), _Table()
    for spelt in sorted(ids, key=ids.__getitem__):
        token = "".join(chr(ord(letter) - 256) for letter in spelt)
        if len(token) > 1 and joins.add(token):
            tokens.append(token)
    return tokens


def _spelt(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts as the library is to see them: some pieces at a time, a space between two."""
    for text in texts:
        some: list[bytes] = []
        held = 0
        for piece in pieces(text):
            some.append(piece.encode())
            held += len(some[-1])
            if held > _TAKEN:
                yield _letters(some)
                some, held = [], 0
        yield _letters(some)


def _letters(some: list[bytes]) -> str:
    # 0xff is in no UTF-8
    codes = np.frombuffer(b"\xff".join(some), np.uint8).astype("<u2") + np.uint16(256)
    codes[codes == 511] = ord(" ")
    return codes.tobytes().decode("utf-16-le")


def _listening(texts: Iterator[str], work: Callable[[Iterator[str]], None]) -> None:
    """Do what does not listen to interruptions, and listen: it ends when the texts that it takes do."""
    failed: list[BaseException] = []
    is_left, is_done = threading.Event(), threading.Event()

    def taken() -> Iterator[str]:
        for text in texts:
            if is_left.is_set():
                raise InterruptedError
            yield text

    def run() -> None:
        try:
            work(taken())
        except BaseException as error:
            failed.append(error)
        finally:
            is_done.set()

    threading.Thread(target=run, daemon=True).start()
    try:
        while not is_done.wait(0.1):  # Thread.join, interrupted, takes the thread for ended
            pass
    except BaseException:
        is_left.set()
        is_done.wait(1.0)  # or else Python's end would find it at work
        raise
    if failed:
        raise failed[0]


class _Table:
    """Joins, as tokens are added to them."""

    def __init__(self) -> None:
        self.joins: Joins = {}

    def add(self, token: str) -> bool:
        """Add a token; False where it does not join two that are there."""
        parts = cut(token.encode("latin-1"), self.joins)
        if len(parts) == 2:
            self.joins[parts[0], parts[1]] = len(BYTES) + len(self.joins)
        return len(parts) == 2


def joins_of(tokens: Sequence[str]) -> Joins:
    """Return which two each token joins; DataError unless they are tokens as `learn` returns them."""
    if tuple(tokens[: len(BYTES)]) != BYTES:
        raise DataError("vocabulary: the first 256 bpe tokens must be the bytes in order")
    table = _Table()
    for token in tokens[len(BYTES) :]:
        if not token or max(token) > "\xff" or not table.add(token):
            raise DataError(f"vocabulary: bpe token {token!r:.60} does not join two that stand before it")
    return table.joins


def cut(piece: bytes, joins: Joins) -> list[int]:
    """Return the tokens of one piece: (2), (3), the lowest token first."""
    parts, none = list(piece), len(joins) + len(BYTES)
    while len(parts) > 1:
        token, at = min((joins.get(two, none), k) for k, two in enumerate(pairwise(parts)))
        if token == none:
            break
        parts[at : at + 2] = [token]
    return parts


def cut_all(some: Sequence[bytes], joins: Joins) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.intp]]:
    """Return the tokens of many pieces, one after the other, and how many each has."""
    tokens, counts = [np.empty(0, np.int32)], [np.empty(0, np.intp)]
    start = 0
    while start < len(some):
        stop, held = start, 0
        while stop < len(some) and held < _SOME:
            held += len(some[stop]) + 1
            stop += 1
        found = _joined(some[start:stop], joins)
        ends = np.flatnonzero(found < 0)
        counts.append(np.diff(ends, prepend=-1) - 1)
        tokens.append(found[found >= 0])
        start = stop
    return np.concatenate(tokens), np.concatenate(counts)


def _joined(some: Sequence[bytes], joins: Joins) -> npt.NDArray[np.int32]:
    """Return the tokens of some pieces, with -1 after each."""
    lengths = np.array([len(piece) for piece in some])
    a = np.insert(np.frombuffer(b"".join(some), np.uint8).astype(np.int32), np.cumsum(lengths), -1)
    held = np.bincount(a[a >= 0], minlength=len(BYTES) + len(joins)).tolist()
    for (left, right), token in joins.items():
        if not (held[left] and held[right]):
            continue
        at = np.flatnonzero((a[:-1] == left) & (a[1:] == right))
        if left == right:  # of three in a row the first two
            first = np.maximum.accumulate(np.where(np.diff(at, prepend=-2) > 1, at, 0))
            at = at[(at - first) % 2 == 0]
        if not at.size:
            continue
        a[at] = token
        a = np.delete(a, at + 1)
        for part, change in ((left, -at.size), (right, -at.size), (token, at.size)):
            held[part] += change
    return a
