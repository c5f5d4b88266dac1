"""What of a text a unit may follow: at each token, something that a reader can name."""

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from bptt.errors import ConfigError
from bptt.looking.view import Property
from bptt.types import Array

OPEN, CLOSE = "([{", ")]}"

Given = Mapping[str, Any]
"""A user's own properties by name: an array (T,), a function of the tokens, or a regular expression."""


def of_text(tokens: Sequence[str], starts: Array) -> list[Property]:
    r"""Return the properties of texts in tokens, at the end of each token, that are not the same everywhere.

    Parameters
    ----------
    tokens : T str
        Which joined are the text.
    starts : (M,) integers
        Where texts by themselves begin.

    Examples
    --------
    >>> [p.name for p in of_text(list("Ab (c)\nd"), np.array([0]))][:4]
    ['column', 'word length', 'in a word', 'upper case']
    """
    found: dict[str, list[float]] = {}
    ends = [*starts[1:].tolist(), len(tokens)]
    for first, stop in zip(starts.tolist(), ends, strict=True):
        for name, values in _of_one(tokens[first:stop]).items():
            found.setdefault(name, []).extend(values)
    properties = [
        Property(name, words, "number" if name in NUMBERS else "yes/no", np.array(found[name], np.float32))
        for name, words in WORDS.items()
    ]
    return [p for p in properties if len(np.unique(p.array[np.isfinite(p.array)])) > 1]


WORDS = {
    "column": "characters since the newline",
    "word length": "letters of the word so far",
    "indentation": "white space at the beginning of the line",
    "in a word": "the character is a letter or a digit",
    "upper case": "the letter is a capital",
    "capitals": "the word so far is in capitals alone, two or more",
    "space next": "white space comes next",
    "newline": "the character is a newline",
    "first line": "in the first line after an empty one",
    "in quotes": "between a double quotation mark and the next",
    "in brackets": "inside brackets of any kind",
    "digits": "the character is a digit",
}
"""The properties of a text, and what each says."""

NUMBERS = ("column", "word length", "indentation")
"""Which of them are numbers; all others are true or not."""


def _of_one(tokens: Sequence[str]) -> dict[str, list[float]]:
    """Return the properties of one text, at the last character of each token."""
    text = "".join(tokens)
    at_each: dict[str, list[float]] = {name: [] for name in WORDS}
    column, indentation, is_indent, depth, quoted, word, first_line = 0, 0, True, 0, False, "", True
    for k, c in enumerate(text):
        following = text[k + 1 : k + 2]
        if c in '"“”':
            quoted = not quoted if c == '"' else c == "“"
        depth = depth + 1 if c in OPEN else max(0, depth - 1) if c in CLOSE else depth
        is_letter = c.isalnum() or c == "_"
        word = word + c if is_letter else ""
        if c == "\n":
            first_line = not text[k - column : k].strip()
            column, indentation, is_indent = 0, 0, True
        else:
            column += 1
            is_indent = is_indent and c.isspace()
            indentation += is_indent
        for name, value in {
            "column": column,
            "word length": len(word),
            "indentation": indentation,
            "in a word": is_letter,
            "upper case": c.isupper(),
            "capitals": len(word) > 1 and word.isupper(),
            "space next": float(following.isspace()) if following else np.nan,
            "newline": c == "\n",
            "first line": first_line,
            "in quotes": quoted,
            "in brackets": depth > 0,
            "digits": c.isdigit(),
        }.items():
            at_each[name].append(float(value))
    ends = np.array([*accumulate(map(len, tokens))], int) - 1
    if not text:
        return {name: [np.nan] * len(tokens) for name in WORDS}
    return {name: np.array(values)[np.maximum(ends, 0)].tolist() for name, values in at_each.items()}


def of_steps(loss: Array, starts: Array, chunk: int | None) -> list[Property]:
    """Return what any sequence has: its loss, and where in its sequence or its chunk a step is."""
    T = len(loss)
    begins = np.zeros(T, int)
    begins[starts] = starts
    place = np.arange(T) - np.maximum.accumulate(begins)
    found = [Property("loss", "the loss itself", "number", loss.astype(np.float32))]
    if len(starts) > 1:
        found.append(Property("place", "steps since the sequence began", "number", place.astype(np.float32)))
    if chunk is not None and place.max(initial=0) >= chunk > 1:
        words = f"place in chunks of {chunk:,}, as training cut them"
        found.append(Property("place in chunk", words, "number", (place % chunk).astype(np.float32)))
    return found


def given(properties: Given, tokens: Sequence[str]) -> list[Property]:
    """Return a user's own properties.

    Raises
    ------
    ConfigError
        If one is not what it may be.
    """
    return [_own(name, what, tokens) for name, what in properties.items()]


def _own(name: str, what: object, tokens: Sequence[str]) -> Property:
    words, T = "a property of your own", len(tokens)
    if isinstance(what, str | re.Pattern):
        array, words = matching(name, what, tokens), f"inside a match of {getattr(what, 'pattern', what)}"
    else:
        made = what(list(tokens)) if callable(what) else what
        try:
            array = np.asarray(made)
            is_number = array.dtype.kind in "biuf"
        except ValueError:
            is_number = False
        if not is_number or array.shape != (T,):
            raise ConfigError(
                f"the property {name!r} must be {T:,} numbers, one for each token, a function of the tokens "
                f"that returns them, or a regular expression; got {made!r:.60}"
            )
    numbers = array.astype(np.float32)
    yes_no = bool(np.isin(numbers[np.isfinite(numbers)], (0, 1)).all())
    return Property(name, words, "yes/no" if yes_no else "number", numbers)


def matching(name: str, pattern: str | re.Pattern[str], tokens: Sequence[str]) -> Array:
    """Return at which tokens the text's last character is inside a match, (T,) bool; ConfigError."""
    try:
        found = re.compile(pattern).finditer("".join(tokens))
    except re.error as error:
        raise ConfigError(f"the property {name!r}: {pattern!r} is no regular expression: {error}") from None
    ends = np.array([*accumulate(map(len, tokens))], int) - 1
    inside = np.zeros(max(int(ends[-1]) + 1 if len(ends) else 0, 1), bool)
    for match in found:
        inside[match.start() : match.end()] = True
    at_each: Array = inside[np.maximum(ends, 0)]
    return at_each
