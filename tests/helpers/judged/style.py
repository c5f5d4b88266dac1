"""Code in one of the styles in which people publish it."""

from typing import NamedTuple


class Style(NamedTuple):
    """Code, a line of it, that line with a fault, and what the right one's notes must hold."""

    text: str
    right: str
    wrong: str
    notes: str = ""
