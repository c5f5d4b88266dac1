"""The tokens of labelled sequences: which are known, and which those of a sequence are."""

import numpy as np

from bptt.data.labelled.rows import Labelled
from bptt.data.text import Kind, Vocabulary
from bptt.data.text.tokenizers import tokenizer
from bptt.errors import DataError
from bptt.types import Array


def steps_of(whole: Labelled, which: Array) -> Array:
    """Return the numbers of the steps of some sequences."""
    assert whole.lengths is not None
    keep = np.zeros(len(whole), bool)
    keep[which] = True
    return np.flatnonzero(np.repeat(keep, whole.lengths))


def of_words(labelled: Labelled, vocabulary: Vocabulary) -> Array:
    """Return the token of each word, (S,) int32; DataError where one is none and there is no <unk>."""
    known = {token: k for k, token in enumerate(vocabulary.tokens)}
    its, words = tokenizer(vocabulary.kind), labelled.words or []
    unknown = -1 if its.unknown is None else known[its.unknown]
    found = np.array([known.get(word, unknown) for word in words], np.int32)
    if (found < 0).any():
        at = int(np.argmax(found < 0))
        raise DataError(
            f"{labelled.place_of_step(at)}: {words[at]!r:.20} is none of the characters that were learnt: "
            "no label can be told of it"
        )
    return found


def vocabulary_of(
    whole: Labelled,
    train: Array,
    kind: Kind,
    most: int | None,
    more: Labelled | None,
    known: Vocabulary | None,
) -> Vocabulary:
    """Return the tokens of the sequences to train on, with the characters of all; see `Coding.of`."""
    if whole.texts is not None:
        texts = [whole.texts[k] for k in train]
        every = whole.texts + ((more.texts or []) if more else [])
    else:
        assert whole.words is not None
        texts = [whole.words[k] for k in steps_of(whole, train)]
        every = whole.words + ((more.words or []) if more else [])
    return Vocabulary.learnt(texts, every, kind, max_size=most, known=known)
