"""Texts: named corpora and a user's files, vocabularies, and streams of batches.

Examples
--------
>>> corpus = load("pydoc")
>>> vocabulary = corpus.vocabulary()
>>> stream = TextStream(vocabulary.encode(corpus.train), batch=32, chunk=64)
>>> stream.next().inputs.shape
(64, 32)
"""

from bptt.data.text.corpora import Corpus, CorpusInfo, describe, load
from bptt.data.text.files import read_bytes, read_text
from bptt.data.text.streams import TextStream, windows
from bptt.data.text.tokenizers import Kind
from bptt.data.text.vocabulary import Decoder, Vocabulary

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
