"""The months' names, in the languages of tables."""

import unicodedata

_SPELT = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "da": "januar februar marts april maj juni juli august september oktober november december",
    "pl": "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień",
}
_OTHERWISE = {
    "de": {"mrz": 3},
    "nl": {"mrt": 3},
    "fr": {"fevrier": 2, "fev": 2, "aout": 8, "decembre": 12, "dec": 12},
}
"""What is no beginning of a name."""

LANGUAGES = {language: tuple(names.split()) for language, names in _SPELT.items()}
"""Each language's twelve."""

_SHORT = {
    "fr": "janv févr mars avr mai juin juil août sept oct nov déc",
    "nl": "jan feb mrt apr mei jun jul aug sep okt nov dec",
}


def month_of(name: str, language: str = "en") -> int | None:
    """Return which month a name is, or the beginning of one, of three or four letters; None for others.

    Examples
    --------
    >>> month_of("Sept."), month_of("MÄR", "de"), month_of("jui", "fr"), month_of("Januar"), month_of("Mai")
    (9, 3, None, None, None)
    """
    name = unicodedata.normalize("NFC", name).lower().rstrip(".")
    if (odd := _OTHERWISE.get(language, {}).get(name)) is not None:
        return odd
    own = [each.lower() for each in LANGUAGES[language]]
    if name in own:
        return own.index(name) + 1
    found = [k for k, each in enumerate(own, 1) if each.startswith(name)]
    return found[0] if len(found) == 1 and 3 <= len(name) <= 4 else None


def languages_of(names: list[str]) -> list[str]:
    """Return the languages in which all of some names, one at least, are months."""
    return [each for each in LANGUAGES if names and all(month_of(name, each) for name in names)]


def short(month: int, language: str = "en") -> str:
    """Return the abbreviation of a month.

    Examples
    --------
    >>> short(9), short(2, "fr"), short(12, "de")
    ('Sep', 'févr', 'Dez')
    """
    if language in _SHORT:
        return _SHORT[language].split()[month - 1]
    return LANGUAGES[language][month - 1][:3]


def is_short(name: str, month: int, language: str = "en") -> bool:
    """Return whether a month's name is an abbreviation of it, and may not as well be all of it."""
    name, whole = name.lower().rstrip("."), LANGUAGES[language][month - 1].lower()
    return name != whole or name == short(month, language).lower()
