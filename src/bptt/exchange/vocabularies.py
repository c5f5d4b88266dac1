"""A vocabulary in a file of somebody's: JSON, or a text with a token a line."""

from pathlib import Path
from typing import Any

from bptt.data.text import Vocabulary
from bptt.data.text.files import decode, read_file
from bptt.data.text.tokenizers import EOS, UNK, Bytes, Kind
from bptt.errors import DataError, RunError
from bptt.training.runs import format as run_format

LIMIT = run_format.LIMITS["vocabulary.json"]
"""The most bytes of a file."""

ALIASES = {
    EOS: ("</s>", "<EOS>", "[EOS]", "<eol>", "<|endoftext|>", "\n"),
    UNK: ("<UNK>", "[UNK]", "<unknown>", "UNK", "unk"),
}
"""What others call the two words that are needed."""

MARKS = 0xE000
"""The character, of those for private use, that stands for the first marker among characters."""


def read_vocabulary(path: Path) -> Vocabulary:
    r"""Return the vocabulary in a file, the k-th token being that of number k.

    JSON: a list of tokens, an object of tokens with their numbers or of numbers with their tokens, or a run's
    ``vocabulary.json``. Any other text has a token a line. Where all tokens are characters, but for a few
    markers such as ``<pad>``, each marker becomes a character for private use; what else is neither
    characters nor the names of bytes is words, with ``<eos>`` and ``<unk>`` or what others call these.

    Raises
    ------
    DataError
        If it cannot be read, or its tokens are no vocabulary.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "vocabulary.json"
    >>> _ = path.write_text('{"a": 0, "b": 1, "\\n": 2}')
    >>> read_vocabulary(path).tokens
    ('a', 'b', '\n')
    """
    text = decode(read_file(path, LIMIT), "char", path)
    assert isinstance(text, str)
    try:
        if not text.lstrip().startswith(("[", "{")):
            return _of(text.removesuffix("\n").split("\n"))
        value: Any = run_format.decode(text.encode(), object)
        if isinstance(value, dict) and value.keys() == {"kind", "tokens"}:
            return Vocabulary.from_json(value)
        return _of(_listed(value))
    except (DataError, RunError) as error:
        raise DataError(f"{path}: {error}") from None


def _listed(value: Any) -> list[str]:
    """Return the tokens that JSON lists, or gives numbers to."""
    if isinstance(value, dict):
        pairs = value.items()
        by_number = {k: token for token, k in pairs if type(k) is int}
        by_number |= {
            int(k): token for k, token in pairs if isinstance(token, str) and k.isdecimal() and len(k) < 9
        }
        value = [by_number.get(k) for k in range(len(value))]
    if not isinstance(value, list) or not all(isinstance(token, str) for token in value):
        raise DataError("a vocabulary is a list of tokens, or an object that gives each its number from 0 on")
    return value


def _of(tokens: list[str]) -> Vocabulary:
    """Return the vocabulary of some tokens, whose kind they say."""
    long = [k for k, token in enumerate(tokens) if len(token) != 1]
    kind: Kind = "word"
    if tuple(tokens) == Bytes.tokens:
        kind = "byte"
    elif 2 * len(long) < len(tokens) and len(long) <= 16:
        kind = "char"
        for mark, k in enumerate(long):
            tokens[k] = chr(MARKS + mark)
    else:
        for own, others in ALIASES.items():
            known = [other for other in others if other in tokens]
            if own not in tokens and known:
                tokens[tokens.index(known[0])] = own
    return Vocabulary(kind, tuple(tokens))
