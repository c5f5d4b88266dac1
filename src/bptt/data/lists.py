"""Texts that are sequences, each by itself: lines, documents, or a table's column; and what they start from.

A text becomes ``[end] + tokens + [end]``: it starts from the token that ends texts, and predicts it at last.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np

from bptt.data.sequences import Sequences, split
from bptt.data.tables import Table, read_table
from bptt.data.text import Corpus, Kind, Vocabulary, load
from bptt.data.text.files import LIMIT, read, read_each
from bptt.data.text.tokenizers import tokenizer
from bptt.errors import ConfigError, DataError
from bptt.types import Array

LOOKED_AT = 1 << 20
"""The characters by which it is told whether a text is a list."""

FEWEST = 50
"""The lines that a list has at least."""

FILE = "file"
"""Each file of a folder is a document."""


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts in an order.

    Attributes
    ----------
    texts : list of str, or of bytes
    lines : list of int
        The line of the file that each begins at; of files, which one it is.
    columns : dict of list of str
        What else a table says of each, by the column.
    empty : int
        How many held nothing but white space, and were left out.
    """

    texts: Sequence[str | bytes]
    lines: Sequence[int]
    columns: dict[str, list[str]] = field(default_factory=dict)
    empty: int = 0

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, which: Array) -> "Texts":
        """Return some of the texts."""
        which = which.tolist()
        columns = {name: [values[k] for k in which] for name, values in self.columns.items()}
        return replace(
            self,
            texts=[self.texts[k] for k in which],
            lines=[self.lines[k] for k in which],
            columns=columns,
        )

    def without_empty(self) -> "Texts":
        """Return the texts that hold more than white space."""
        kept = np.array([bool(text.strip()) for text in self.texts], bool)
        left = self.take(np.flatnonzero(kept))
        return replace(left, empty=self.empty + len(self) - len(left))


@dataclass(frozen=True)
class Form:
    r"""How texts lie in a file: a line each, unless something else is said.

    Parameters
    ----------
    documents : str, optional
        The line that stands between two; empty: a line of white space; ``"file"``: each file is one.
    text : str, optional
        The column of a table that holds them.
    condition : tuple of str
        Other columns of the table, which say what each starts from.
    head : bool
        Whether a table of delimited values says the columns' names; otherwise they are 1, 2, ...
    encoding : str, optional
        Of files that are not UTF-8.

    Examples
    --------
    >>> Form().cut("one\n\ntwo\n").texts, Form(documents="--").cut("a\nb\n--\nc\n").texts
    (['one', '', 'two'], ['a\nb', 'c'])
    """

    documents: str | None = None
    text: str | None = None
    condition: tuple[str, ...] = ()
    head: bool = True
    encoding: str | None = None

    @property
    def unit(self) -> str:
        """What a text is called."""
        return "row" if self.text is not None else "line" if self.documents is None else "document"

    def cut(self, text: str | bytes) -> Texts:
        """Return the texts of a file that is no table; of lines the empty ones, too."""
        if isinstance(text, str):
            return self._cut(text, self.documents)
        between = None if self.documents is None else self.documents.encode().decode("latin-1")
        found = self._cut(text.decode("latin-1").replace("\r\n", "\n"), between)
        return replace(found, texts=[str(text).encode("latin-1") for text in found.texts])

    def _cut(self, text: str, between: str | None) -> Texts:
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        if between is None:
            return Texts(lines, range(1, len(lines) + 1))
        parts = groupby(enumerate(lines, 1), key=lambda line: line[1].strip() == between.strip())
        found = [list(part) for is_between, part in parts if not is_between]
        texts = ["\n".join(line for _, line in part).strip("\n") for part in found]
        return Texts(texts, [part[0][0] for part in found])

    def read(self, path: str, kind: Kind, limit: int = LIMIT) -> Texts:
        """Return the texts of a file, or of a folder of files; DataError if they cannot be read."""
        if self.text is not None:
            table = read_table(path, head=self.head, encoding=self.encoding)
            column = table.column(self.text)
            columns = {name: _values(table, name, column) for name in self.condition}
            as_bytes = tokenizer(kind).reads_bytes
            return Texts([text.encode() for text in column] if as_bytes else column, table.lines, columns)
        if self.documents == FILE:
            files = [*read_each(path, kind, limit, self.encoding).values()]
            return Texts(files, range(1, len(files) + 1))
        return self._expect_cut(self.cut(read(path, kind, limit, self.encoding).data), path)

    def _expect_cut(self, found: Texts, name: str) -> Texts:
        if self.documents is not None and len(found) < 2:
            raise DataError(f"{name}: no line is {self.documents!r}, which is to stand between two documents")
        return found


@dataclass(frozen=True, eq=False)
class Parts:
    """Texts to train on, to validate on, and to test on.

    Attributes
    ----------
    kind : {"char", "byte", "word"}
    train, valid : Texts
    test : Texts or None
    source : str
        Where they came from, in one line.
    """

    kind: Kind
    train: Texts
    valid: Texts
    test: Texts | None
    source: str

    @classmethod
    def load(
        cls,
        data: str,
        form: Form,
        *,
        valid: str | None = None,
        kind: Kind | None = None,
        part: tuple[int, int] | None = None,
        **how: object,
    ) -> "Parts":
        """Return the texts of a corpus or a path; a tenth of them is to validate on, if nothing else is.

        Parameters
        ----------
        data : str
        form : Form
        valid : str, optional
            A path.
        kind : {"char", "byte", "word"}, optional
        part : (int, int), optional
            Which part of how many is to validate on, in place of a tenth.
        **how
            `fetch` and `limit` of :func:`bptt.data.text.load`.

        Raises
        ------
        DataError
            If they cannot be read, or are too few.
        """
        limit = how.get("limit", LIMIT)
        test = None
        if form.text is None and form.documents != FILE:
            corpus = load(data, valid=valid, kind=kind, encoding=form.encoding, **how)  # type: ignore[arg-type]
            kind, source = corpus.kind, corpus.source
            first, rest = _cut(corpus, form, whole=valid is None and corpus.test is None)
            test = None if corpus.test is None else form.cut(corpus.test).without_empty()
        else:
            kind, source = kind or "char", data + (f"; validation: {valid}" if valid else "")
            first = form.read(data, kind, limit)  # type: ignore[arg-type]
            rest = None if valid is None else form.read(valid, kind, limit)  # type: ignore[arg-type]
        first = first.without_empty()
        if rest is None:
            train, held = map(first.take, split(len(first), part))
            return cls(kind, train, replace(held, empty=0), test, source)
        if part is not None:
            raise ConfigError(f"{source}: has a part of its own to validate on: leave --fold out")
        rest = rest.without_empty()
        if not len(first) or not len(rest):
            raise DataError(f"{valid if len(first) else data}: holds no {form.unit} that is not empty")
        return cls(kind, first, rest, test, source)

    def vocabulary(self, max_size: int | None = None, known: Vocabulary | None = None) -> Vocabulary:
        """Return the vocabulary, with an end; its tokens are as those of :meth:`Corpus.vocabulary`."""
        texts = [self.train, self.valid, *([self.test] if self.test else [])]
        if tokenizer(self.kind).is_sized:
            texts = texts[:1]
        every, least = (text for part in texts for text in part.texts), 2 if max_size is None else 1
        if known is not None:
            return known.extended(every, max_size=max_size, least=least).with_end()
        return Vocabulary.build(every, self.kind, max_size=max_size, least=least).with_end()

    @property
    def repeated(self) -> tuple[int, int]:
        """How many texts are there again, and how many to validate on are in training, too."""
        times = Counter(self.train.texts)
        both = sum(text in times for text in self.valid.texts)
        times.update(self.valid.texts)
        return times.total() - len(times), both

    def digest(self) -> str:
        """Return the sha256 of what is trained and validated on."""
        summed = hashlib.sha256()
        for part in (self.train, self.valid):
            for texts in (part.texts, *part.columns.values()):
                summed.update(b"%d\0" % len(texts))
                summed.update(b"\0".join(t.encode() if isinstance(t, str) else t for t in texts))
                summed.update(b"\0")
        return summed.hexdigest()


def _cut(corpus: Corpus, form: Form, *, whole: bool) -> tuple[Texts, Texts | None]:
    """Return the texts to train on and to validate on; together where a text in one piece was split."""
    if not whole:
        return form.cut(corpus.train), form.cut(corpus.valid)
    return form._expect_cut(form.cut(corpus.train + corpus.valid), corpus.name), None  # type: ignore[operator]


def sequences(
    texts: Sequence[str | bytes], vocabulary: Vocabulary, features: Array | None = None
) -> Sequences:
    """Return texts as what a model reads and predicts, from an end to an end.

    Parameters
    ----------
    texts : M str, or bytes
    vocabulary : Vocabulary
        With an end.
    features : (M, F), optional
        What each starts from.

    Examples
    --------
    >>> known = Vocabulary.build("ab", "char").with_end()
    >>> batch = sequences(["ba", "a"], known).batch(np.array([0, 1]))
    >>> batch.inputs.T.tolist(), batch.targets.T.tolist()
    ([[2, 1, 0], [2, 0, 0]], [[1, 0, 2], [0, 2, 0]])
    """
    assert vocabulary.end is not None
    if tokenizer(vocabulary.kind).is_each:  # at once, which for many short texts is far faster
        joined = b"".join(texts) if texts and isinstance(texts[0], bytes) else "".join(texts)  # type: ignore[arg-type]
        ids, lengths = vocabulary.encode(joined, compact=True), np.array([len(text) for text in texts], int)
    else:
        each = [vocabulary.encode(text, compact=True) for text in texts]
        ids, lengths = np.concatenate(each), np.array([len(own) for own in each], int)
    whole = np.full(len(ids) + len(lengths) + 1, vocabulary.end, ids.dtype)
    is_token = np.ones(len(whole), bool)
    is_token[0] = is_token[np.cumsum(lengths + 1)] = False
    whole[is_token] = ids
    return Sequences(whole[:-1], lengths + 1, whole[1:], features)


def _values(table: Table, name: str, texts: Sequence[str]) -> list[str]:
    """Return what the texts of a table start from: no value is empty, and numbers have a decimal point."""
    values = table.column(name)
    for k, (value, text) in enumerate(zip(values, texts, strict=True)):
        if text.strip() and not value.strip():
            raise DataError(f"{table.place(k)}, column {name}: has no value, and its text starts from it")
    if table.is_continental:
        try:
            return [str(number) for number in table.numbers(name)]
        except DataError:  # they are names
            pass
    return values


def looks_like_list(text: str) -> bool:
    r"""Return whether a text looks like a list, a text a line, rather than one text.

    A list has lines, fifty or more, of which hardly any is blank or indented, as those of prose, verse, plays
    and code are. The lines are short, where prose that is not wrapped has long ones; and not most of them are
    nearly as long as the longest, as those of wrapped prose are, unless all are very short.

    Examples
    --------
    >>> looks_like_list("emma\nava\nmia\n" * 20), looks_like_list("To be,\n  or not to be.\n\n" * 50)
    (True, False)
    """
    lines = text[:LOOKED_AT].split("\n")[:-1]
    if len(lines) < FEWEST:
        return False
    odd = sum(not line.strip() or line[0].isspace() for line in lines)
    lengths = sorted(map(len, lines))
    median, long = lengths[len(lines) // 2], lengths[int(0.95 * len(lines))]
    return odd <= 0.01 * len(lines) and long <= 300 and (median <= 25 or median < 0.8 * long)
