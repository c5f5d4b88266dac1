"""Texts in other encodings than UTF-8: what a byte order mark or the user names, and which one it may be."""

import codecs
import re

from bptt.errors import ConfigError, DataError

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks; what begins with several is of the first."""

NO_TEXTS = ("idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined")
"""Encodings that Python has for other things than files of text."""

LOOKED_AT = 1 << 16
"""The bytes by which an encoding is guessed, from the first on that is not ASCII."""

SURE = 0.5
"""The part of the characters beyond ASCII that must be as the language writes them."""

FEWEST = 4
"""Different letters of another script that are no accident."""

_LATIN = "(?<![{0}])[{0}]{{1,2}}(?![{0}])"  # letters with accents stand among others
_CYRILLIC = "[А-ЯЁЄІЇ]?[а-яёєіїґў]{2,}|[А-ЯЁ]{2,}(?![а-я])"
_KANJI = "[\u3040-\u30ff\u3001\u3002\u300c\u300d\u30fc\u4e00-\u9fff]+"
_USUAL = {
    "cp932": _KANJI,
    "euc_jp": _KANJI,
    "cp949": "[\uac00-\ud7a3]+",
    "gb18030": "[\u4e00-\u9fff\u3001\u3002\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f]+",
    "big5": "[\u4e00-\u9fff\u3001\u3002\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f]+",
    **dict.fromkeys(("cp1251", "koi8_r", "iso8859_5", "cp866"), _CYRILLIC),
    "cp1253": "[Α-ΫΆ-Ώ]?[ά-ώ]{2,}",
    "cp1255": "[א-ת]{2,}",
    **dict.fromkeys(("cp1256", "iso8859_6"), "[ء-يپچژکگ،؛؟]{2,}"),
    "cp874": "[ก-๛]{2,}",
    "cp1252": _LATIN.format("ÄÖÜäöüßÀÁÂÃÅÆÇÈÉÊËÍÎÏÑÓÔÕØÚàáâãåæçèéêëìíîïñòóôõøùúûœ’‘“”„–—…°€£§"),
    "cp1250": _LATIN.format("ĄĆĘŁŃÓŚŹŻąćęłńóśźżÁČĎÉĚÍŇŘŠŤÚŮÝŽáčďéěíňřšťúůýžÖÜŐŰöüőűĂÂÎŞŢăâîşţ„”–’"),
    "cp1254": _LATIN.format("ÇĞİÖŞÜçğıöşüâî’“”"),
    "cp1257": _LATIN.format("ĀČĒĢĪĶĻŅŠŪŽĄĘĖĮŲÕÄÖÜāčēģīķļņšūžąęėįųõäöü„”–’"),
}
"""What texts in an encoding hold beyond ASCII; of those that fit as well, the first."""

_LATIN_ONES = ("cp1252", "cp1250", "cp1254", "cp1257")

_OFTEN = {
    **dict.fromkeys(("cp1251", "koi8_r", "iso8859_5", "cp866"), "оеаинтсрвлі"),
    "cp1253": "αοιετσνηυρς",
    "cp1255": "יוהלארתמבשנ",
    **dict.fromkeys(("cp1256", "iso8859_6"), "اليمونرتبةهد"),
    "cp874": "านรอกเงมยลวดทสต",
}
"""The most frequent letters of scripts with few: bytes of one are words of another, too, but odd ones."""

_FREQUENT = {
    "cp932": ("cp932", 0x81, 0x97),
    "cp949": ("cp949", 0xB0, 0xC8),
    "gb18030": ("gb2312", 0xA1, 0xD7),
    "big5": ("big5", 0xA1, 0xC6),
}
"""The first bytes of the characters that are frequent."""


def in_utf8(data: bytes, name: object, encoding: str | None = None) -> bytes:
    r"""Return a file's text as UTF-8, without a byte order mark.

    Parameters
    ----------
    data : bytes
    name : object
        What errors call the file.
    encoding : str, optional
        Of a text that is not UTF-8 and has no byte order mark.

    Raises
    ------
    ConfigError
        There is no such encoding.
    DataError
        The text is in another encoding; the error says in which, if that can be told.

    Examples
    --------
    >>> in_utf8(b"caf\xe9", "a.txt", "cp1252").decode(), in_utf8("café".encode("utf-16"), "a.txt").decode()
    ('café', 'café')
    """
    own = None if encoding is None else named(encoding)
    mark = next((mark for mark in MARKS if data.startswith(mark)), b"")
    if MARKS.get(mark, "utf-8") != "utf-8":
        return _decoded(data, name, MARKS[mark])
    if own is not None and not mark and not _has_ascii(own):
        return _decoded(data, name, own)
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if own is not None and own != "utf-8" and not mark:
            return _decoded(data, name, own)
        raise _other(data, name, error.start, len(mark)) from None
    if own is None and _wide(data) is not None:
        raise _other(data, name, data.index(b"\0"), 0)
    return data


def named(encoding: str) -> str:
    """Return an encoding's usual name; ConfigError for one that Python has not."""
    try:
        own = codecs.lookup(encoding).name
        "".encode(own)  # what is no encoding of texts is refused
    except (LookupError, ValueError):
        own = ""
    if not own or own in NO_TEXTS:
        raise ConfigError(
            f"no encoding is called {encoding!r:.40}; others are cp1252 (Western), cp1251 (Cyrillic), "
            "gb18030, shift_jis, big5, euc_kr, utf-16"
        )
    return own


def guessed(data: bytes) -> str | None:
    """Return in which encoding a text may be that is not UTF-8; None where none is likely.

    Examples
    --------
    >>> guessed("Grüße aus Köln".encode("latin-1")), guessed("Привет, мир".encode("koi8-r"))
    ('cp1252', 'koi8_r')
    """
    if (wide := _wide(data)) is not None:
        return wide
    beyond = re.search(rb"[\x80-\xff]", data)
    begin = data.rfind(b"\n", 0, beyond.start()) + 1 if beyond else 0
    some = data[begin : begin + LOOKED_AT]
    found = {encoding: _fits(some, encoding) for encoding in _USUAL}
    best = max(found, key=lambda encoding: found[encoding])
    likely = {each: _often(some, each) for each in _OFTEN if found[each] >= max(SURE, found[best] - 0.1)}
    other = max(likely, key=lambda encoding: likely[encoding], default=best)
    if best in _OFTEN or likely.get(other, 0) >= SURE:
        best = other
    return best if found[best] >= SURE else None


def _often(data: bytes, encoding: str) -> float:
    """Return which part of the letters are among the most frequent of their language."""
    letters = [each for each in data.decode(encoding, "replace").lower() if not each.isascii()]
    return sum(each in _OFTEN[encoding] for each in letters) / max(1, len(letters))


def _fits(data: bytes, encoding: str) -> float:
    """Return which part of a text's characters beyond ASCII are as its language writes them."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)  # the last character may be cut
    except UnicodeDecodeError:
        return 0.0
    beyond = re.sub(r"[\0-\x7f]", "", text)
    is_latin = encoding in _LATIN_ONES
    if not beyond or "\0" in text or (len({*beyond}) < FEWEST and not is_latin):
        return 0.0
    usual = "".join(re.sub(r"[\0-\x7f]", "", found) for found in re.findall(_USUAL[encoding], text))
    if encoding in _FREQUENT:
        of, least, most = _FREQUENT[encoding]
        usual = "".join(each for each in usual if least <= each.encode(of, "replace")[0] <= most)
    if _USUAL[encoding] is _KANJI and len(re.findall("[\u3040-\u30ff]", text)) < 0.2 * len(beyond):
        return 0.0  # no Japanese is without kana
    return len(usual) / len(beyond)


def _decoded(data: bytes, name: object, encoding: str) -> bytes:
    try:
        return data.decode(encoding).removeprefix("\ufeff").encode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        guess = "latin-1" if encoding in _LATIN_ONES else guessed(data)
        maybe = f"; it may be {guess}" if guess not in (None, encoding) else ""
        raise DataError(
            f"{name}: line {line} is not {encoding} (byte 0x{data[error.start]:02x}: {error.reason}){maybe}"
        ) from None
    except UnicodeEncodeError:
        raise DataError(f"{name}: as {encoding} it holds half a character, and no text") from None


def _reads(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _has_ascii(encoding: str) -> bool:
    """Return whether what is ASCII is so in an encoding, too: then what is UTF-8 is hardly anything else."""
    for k in range(128):
        try:
            if bytes([k]).decode(encoding) != chr(k):
                return False
        except UnicodeDecodeError:
            return False
    return True


def _wide(data: bytes) -> str | None:
    """Return the form of UTF-16 that a text begins in, with a zero in most pairs of bytes; None for none."""
    some = data[:256][: len(data[:256]) // 2 * 2]
    for encoding, zeros in (("utf-16-le", some[1::2]), ("utf-16-be", some[0::2])):
        if len(zeros) > 1 and zeros.count(0) > 0.8 * len(zeros):
            text = some.decode(encoding, "replace")
            return encoding if all(each.isprintable() or each.isspace() for each in text) else None
    return None


class NotUtf8Error(DataError):
    """A text in another encoding than UTF-8, or none at all; `guess` is the likely one, or None."""

    guess: str | None = None


BEGINNINGS = {
    b"%PDF-": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x93NUMPY": "an array of NumPy",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"\x89HDF": "HDF5, which h5py.File reads",
    b"SQLite format 3": "a database of SQLite",
    b"MATLAB 5.0": "a file of MATLAB, which scipy.io.loadmat reads",
    b"MATLAB 7.3": "a file of MATLAB, which h5py.File reads",
    b"\xd0\xcf\x11\xe0": "a document or table of an old office program",
}
"""What files are that begin so, and no texts."""


def no_text(data: bytes, name: object) -> str | None:
    """Return what an error says of a file that is known not to be a text; None of others."""
    what = next((what for begin, what in BEGINNINGS.items() if data.startswith(begin)), None)
    says = "and no text: save what is in it as a text, or a table as CSV or by numpy.savez"
    return what and f"{name}: is {what}, {says}"


def _other(data: bytes, name: object, at: int, mark: int) -> NotUtf8Error:
    if (says := no_text(data, name)) is not None:
        return NotUtf8Error(says)
    guess = guessed(data)
    if guess in _LATIN_ONES and not _reads(data, guess):
        guess = "latin-1"  # which takes every byte, as of texts that were damaged
    line = data.count(b"\n", 0, at) + 1
    way = f"it seems to be {guess}: --encoding {guess}" if guess else "--encoding NAME says in which it is"
    where = f"line {line} is not UTF-8 text (byte 0x{data[at]:02x} at offset {at + mark})"
    error = NotUtf8Error(f"{name}: {where}; {way}")
    error.guess = guess
    return error
