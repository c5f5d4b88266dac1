"""How a column writes its times: found among the usual forms, or said as `strptime` has them.

::

    %Y %y      year, of 4 digits or 2       %H %I %p  hour of 24, of 12, AM or PM
    %m %b %B   month: 1, Jan, January       %M %S %f  minute, second, part of one
    %d         day                          %z        zone: Z, UTC, +01:00
    %G %V %u   ISO year, week, weekday      %q        quarter
    %j         day of the year             %a %A      Mon, Monday

A ``-`` before the letter: 5 is not written as 05. A ``^``: names are in capitals. ``%P`` is am or pm.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache

from bptt.data.tables.months import LANGUAGES, is_short, languages_of, month_of, short
from bptt.errors import ConfigError, DataError

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_NAME, _NUMBER, _NOON = r"[^\W\d_]{3,11}\.?", r"\d{1,2}", r"[AaPp]\.?[Mm]\.?"
_PARTS = {
    **dict.fromkeys("YG", r"\d{4}"),
    **dict.fromkeys("mdVHI", _NUMBER),
    **dict.fromkeys("MS", _NUMBER),
    **dict.fromkeys("bBaA", _NAME),
    **dict.fromkeys("pP", _NOON),
    **{
        "y": r"\d\d",
        "j": r"\d{1,3}",
        "u": "[1-7]",
        "q": "[1-4]",
        "f": r"\d{1,9}",
        "z": r"Z|UTC|[+-]\d\d:?\d\d",
    },
}
"""What stands for each directive."""

_DIRECTIVE = re.compile(r"%([-^]?)(.)")
_PLAIN = re.compile(
    r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|\d{4}-\d\d|\d{4}-?Q[1-4]"
    r"|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
)
"""A time as all others are written anew: a number, 2020-01, 2020Q1, 2020-01-31 or 2020-01-31 14:00."""

_FORMS = """
%Y/%m/%d %d/%m/%Y %m/%d/%Y %d/%m/%y %m/%d/%y %y/%m/%d %m/%Y %Y/%m %d/%b/%Y %d/%b/%y
%Y.%m.%d %d.%m.%Y %d.%m.%y
%Y-%m-%d %d-%m-%Y %m-%d-%Y %d-%m-%y %m-%d-%y %y-%m-%d %m-%Y
%d-%b-%Y %d-%B-%Y %d-%b-%y %Y-%b-%d %b-%y %b-%Y %B-%Y %Y-%b %Y-%B %b'%y %d%b%Y %b%Y %YM%m %Y_%b %Y_%B
%d_%b_%Y %d_%B_%Y %d._%B_%Y %d_%b_%y %b_%d,_%Y %B_%d,_%Y %b_%d_%Y %B_%d_%Y %Y_%b_%d
%Y_%m_%d %Y_%m %b_%Y %B_%Y %B,_%Y %b_%y %a,_%d_%b_%Y %A,_%d_%B_%Y %A,_%B_%d,_%Y %a_%b_%d_%Y %a_%d_%b_%Y
%d_de_%B_de_%Y %B_de_%Y %Y年%m月%d日 %Y年%m月 %Y년_%m월_%d일 %Y년_%m월
%G-W%V %G-W%V-%u %GW%V %G_W%V W%V_%G W%V-%G Q%q_%Y Q%q-%Y Q%q/%Y %Y_Q%q %qQ%Y %qQ%y
"""
FORMS = tuple(form.replace("_", " ") for form in _FORMS.split())
"""The usual forms of days, months, weeks and quarters."""

_CLOCK = re.compile(
    r"(,? +|T)\d{1,2}(?:(?P<M>:\d\d(?P<S>:\d\d(?P<f>\.\d+)?)?)|(?P<M_>\.\d\d)(?P<S_>\.\d\d))?"
    r"(?P<p> ?[AaPp]\.?[Mm]\.?)?"
    r"(?P<z> ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
)
"""What may stand behind a day."""

_MARKS = {"M": ":%M", "S": ":%S", "f": ".%f", "M_": ".%M", "S_": ".%S"}

_PADDED, _WIDTHS = "mdjHIMSV", {"j": 3, "M": 2, "S": 2}
"""What may be written with zeros before it, and what to be sure of only where it has fewer digits."""

_EARLIEST, _LATEST = 1800, 2200
"""Years that eight digits may begin with: others are numbers."""

COMPACT = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""How times are written that have so many digits and nothing else."""

_MONTHS = re.compile(r"(0[1-9]|1[0-2])\.(1[89]|2[01])\d\d")
"""01.2020: a number would not begin with a zero."""


@dataclass(frozen=True)
class Dates:
    """How times are written.

    Parameters
    ----------
    form : str
        Empty: as they are compared, 2020-01-31 14:00.
    language : str
        Of the names of months.

    Examples
    --------
    >>> dates = Dates.of(["1/31/2020 9:00 am", "2/1/2020 10:00 pm"])
    >>> dates
    Dates(form='%-m/%-d/%Y %-I:%M %P')
    >>> dates.iso("2/1/2020 9:00 pm"), dates.written("2020-02-01 00:30")
    ('2020-02-01 21:00', '2/1/2020 12:30 am')
    """

    form: str = ""
    language: str = field(default="en", repr=False)

    def __post_init__(self) -> None:
        _pattern(self.form)

    @classmethod
    def said(cls, form: str, texts: Iterable[str]) -> "Dates":
        """Return a form that is known, with marks and the language of its months, as some texts have them."""
        own = {*texts}
        found = (_pattern(form).fullmatch(text.strip()) for text in own)
        parts = [each.groupdict() for each in found if each]
        names = [name for part in parts if (name := part.get("B") or part.get("b"))]
        return cls(form, next(iter(languages_of(names)), "en")).like(own)

    @classmethod
    def of(cls, texts: Iterable[str], *, digits: bool = True) -> "Dates":
        """Return how some times are written.

        Parameters
        ----------
        texts : iterable of str
            What is in none of the usual forms does not count.
        digits : bool
            Whether digits alone may be a month, a day or a minute, where all texts are.

        Raises
        ------
        DataError
            If they may be written in several forms, as where a day and a month may be either in all of them.
        """
        distinct = [text.strip() for text in dict.fromkeys(texts)]
        if digits and (form := _of_digits(distinct)) is not None:
            return cls(form)
        odd = [text for text in distinct if not _PLAIN.fullmatch(text)]
        first = next(((text, forms) for text in odd[:100] if (forms := [*_fitting(text)])), None)
        if first is None:
            return cls()
        found = first[1]
        read = [[dates.iso(text) for text in odd] for dates in found]
        count = [sum(iso != text for iso, text in zip(each, odd, strict=True)) for each in read]
        most = [k for k in range(len(found)) if count[k] == max(count)]  # the forms that most are written in
        monthly = [k for k in most if _are_months(read[k])]
        best = (monthly if len(monthly) == 1 else most)[0]
        for k in most if len(monthly) != 1 else ():
            if any(len({*three}) == 3 for three in zip(read[k], read[best], odd, strict=True)):
                one, other = found[best].form, found[k].form
                raise DataError(
                    f"{first[0]!r:.40} may be {one} or {other}, and so may all others: "
                    f"--date-format '{one}' or '{other}' says which"
                )
        return found[best].like(odd)

    def like(self, texts: Iterable[str]) -> "Dates":
        """Return the form with marks where a text has a digit alone, or names in capitals."""
        matches = (_pattern(self.form).fullmatch(text.strip()) for text in texts)
        groups = [found.groupdict() for found in matches if found]

        def marked(found: re.Match[str]) -> str:
            mark, letter = found[1], found[2]
            own = [group[letter] for group in groups if group.get(letter)]
            if letter in "pP" and own:
                return "%P" if own[0].islower() else "%p"
            if letter in _PADDED and _is_short(groups, "md" if letter in "md" else letter):
                mark = "-"
            if letter in "bBaA" and own and all(each.isupper() for each in own):
                mark = "^"
            return f"%{mark}{letter}"

        return replace(self, form=_DIRECTIVE.sub(marked, self.form))

    def iso(self, text: str) -> str:
        """Return a time as in 2020-01-31 14:00, 2020-01 or 2020Q1; as it is where it is not written so."""
        text = text.strip()
        found = _pattern(self.form).fullmatch(text) if self.form else None
        try:
            between = "T" if "T%" in self.form else " "
            return text if found is None else _iso(found.groupdict(), between, self.language)
        except (ValueError, KeyError, OverflowError):
            return text

    def written(self, time: str) -> str:
        """Return a time as `iso` gives it as the column writes it."""
        if not self.form:
            return time
        found = _WRITTEN.fullmatch(time)
        if found is None:
            return time
        quarter, hour, zone = int(found["q"] or 0), int(found["H"] or 0), found["z"] or ""
        month = 3 * quarter - 2 if quarter else int(found["m"] or 1)
        at = datetime(int(found["Y"]), month, int(found["d"] or 1), hour, int(found["M"] or 0))
        name, day = LANGUAGES[self.language][month - 1], DAYS[at.weekday()]
        own = {"b": short(month, self.language), "B": name, "a": day[:3], "A": day}
        own |= {"p": "PM" if hour > 11 else "AM", "P": "pm" if hour > 11 else "am", "Y": f"{at.year:04}"}
        own |= {"S": found["S"] or "00", "f": found["f"] or "0", "q": str((month + 2) // 3), "%": "%"}
        own["z"] = "UTC" if zone == "Z" and " %z" in self.form else zone

        def value(found: re.Match[str]) -> str:
            text = own.get(found[2]) or at.strftime(f"%{found[2]}")
            return text.upper() if found[1] == "^" else str(int(text)) if found[1] == "-" else text

        return _DIRECTIVE.sub(value, self.form)


_WRITTEN = re.compile(
    r"(?P<Y>\d{4})(?:-?Q(?P<q>\d)|-(?P<m>\d\d)(?:-(?P<d>\d\d)"
    r"(?:[T ](?P<H>\d\d):(?P<M>\d\d)(?::(?P<S>\d\d)(?:\.(?P<f>\d+))?)?(?P<z>Z|[+-].*)?)?)?)?"
)


@lru_cache(maxsize=1024)
def _pattern(form: str) -> re.Pattern[str]:
    """Return what texts in a form match; ConfigError where it says no time."""
    at, parts, letters = 0, list[str](), list[str]()
    for found in _DIRECTIVE.finditer(form):
        parts.append(_literal(form[at : found.start()]))
        at, letter = found.end(), found[2]
        if letter != "%" and (letter not in _PARTS or letter in letters):
            known = ", ".join(f"%{each}" for each in _PARTS)
            why = "stands twice" if letter in letters else f"means nothing; there are {known}"
            raise ConfigError(f"--date-format {form!r:.60}: %{letter} {why}")
        letters.append(letter)
        parts.append("%" if letter == "%" else f"(?P<{letter}>{_PARTS[letter]})")
    if form and not {"Y", "y", "G"} & {*letters}:
        raise ConfigError(
            f"--date-format {form!r:.60} has no year: as in %d/%m/%Y, %b-%y or '%Y-%m-%d %H:%M'"
        )
    return re.compile("".join([*parts, _literal(form[at:])]), re.IGNORECASE)


def _literal(text: str) -> str:
    return re.sub(r"(\\ )+", r"\\s+", re.escape(text))


def _iso(parts: dict[str, str], between: str, language: str) -> str:
    """Return a time of its parts; ValueError or KeyError where it is none."""
    year = int(parts.get("G") or parts.get("Y") or parts["y"])
    if "y" in parts:
        year += 1900 if year > 68 else 2000
    if "q" in parts:
        return f"{year:04}Q{parts['q']}"
    name = parts.get("B") or parts.get("b")
    month = int(parts.get("m", 1)) if name is None else month_of(name, language)
    if month is None or ("b" in parts and not is_short(parts["b"], month, language)):
        raise ValueError
    if "j" in parts:
        day = (date(year, 1, 1) + timedelta(int(parts["j"]) - 1)).isoformat()
        if not day.startswith(f"{year:04}"):
            raise ValueError
    elif "V" in parts:
        day = date.fromisocalendar(year, int(parts["V"]), int(parts.get("u", 1))).isoformat()
    elif "d" in parts:
        day = date(year, month, int(parts["d"])).isoformat()
    else:
        return date(year, month, 1).isoformat()[:7] if name or "m" in parts else str(year)
    if not {"H", "I"} & {*parts}:
        return day
    hour = int(parts.get("H") or parts["I"])
    if noon := parts.get("p") or parts.get("P"):
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + 12 * (noon[0] in "pP")
    clock = f"{hour:02}:{parts.get('M', '00').zfill(2)}"
    if "S" in parts:
        clock += f":{parts['S'].zfill(2)}" + (f".{parts['f'][:6]}" if "f" in parts else "")
    zone = parts.get("z", "")
    return f"{day}{between}{clock}{'Z' if zone == 'UTC' else zone}"


def _are_months(days: list[str]) -> bool:
    """Return whether days of several years and months are the same day of a month each."""
    parts = [day[:10].split("-") for day in days]
    each = [{*of} for of in zip(*parts, strict=True)] if all(len(own) == 3 for own in parts) else []
    return len(each) == 3 and len(each[2]) == 1 < min(len(each[0]), len(each[1]))


def _is_short(groups: list[dict[str, str]], letters: str) -> bool:
    """Return whether a digit stands alone in some parts, or, where they do not tell, in any."""
    if letters in _WIDTHS:
        return any(len(group[letters]) < _WIDTHS[letters] for group in groups)
    own = [group[letter] for group in groups for letter in letters if group.get(letter)]
    if not any(len(each) == 1 or each[0] == "0" for each in own):
        own = [group[letter] for group in groups for letter in "mdHIV" if group.get(letter)]
    return any(len(each) == 1 for each in own)


def _fitting(text: str) -> Iterator[Dates]:
    """Yield the usual forms that a text has."""
    languages = languages_of(re.findall(r"[^\W\d_]{3,}", re.sub(r"\bde\b|UTC", "", text))) or ["en"]
    for day in FORMS:
        found = _pattern(day).match(text)
        form = day
        if found and found.end() < len(text):
            clock = _CLOCK.fullmatch(text, found.end())
            if clock is None or "%d" not in day:
                continue
            form += clock[1] + ("%I" if clock["p"] else "%H")
            form += "".join(mark for name, mark in _MARKS.items() if clock[name])
            form += "".join(f"{' ' * clock[name].startswith(' ')}%{name}" for name in "pz" if clock[name])
        for dates in (Dates(form, language) for language in languages):
            if dates.iso(text) != text:
                yield dates


def _of_digits(texts: list[str]) -> str | None:
    """Return how texts write times that could be numbers; None where they are no such."""
    form = COMPACT.get(len(texts[0])) if texts else None
    if form is not None and all(_is_compact(text, form) for text in texts):
        return form
    is_zero = any(text.startswith("0") for text in texts)
    return "%m.%Y" if is_zero and all(map(_MONTHS.fullmatch, texts)) else None


def _is_compact(text: str, form: str) -> bool:
    if not text.isdecimal() or COMPACT.get(len(text)) != form:
        return False
    return Dates(form).iso(text) != text and _EARLIEST <= int(text[:4]) < _LATEST
