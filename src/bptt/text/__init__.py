"""Texts: named corpora and a user's files, vocabularies, and streams of batches.

Examples
--------
>>> corpus = load("pydoc")
>>> vocabulary = corpus.vocabulary()
>>> stream = TextStream(vocabulary.encode(corpus.train), batch=32, chunk=64)
>>> stream.next().inputs.shape
(64, 32)
"""

from bptt.text.corpora import Corpus, CorpusInfo, describe, load
from bptt.text.files import read_bytes, read_text
from bptt.text.streams import TextStream, windows
from bptt.text.vocabulary import Decoder, Kind, Vocabulary

__all__ = [
    "Corpus",
    "CorpusInfo",
    "Decoder",
    "Kind",
    "TextStream",
    "Vocabulary",
    "describe",
    "load",
    "read_bytes",
    "read_text",
    "windows",
]
