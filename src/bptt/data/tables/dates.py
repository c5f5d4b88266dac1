"""How a column writes its days: 2020-01-31, 2020/01/31, 20200131, 31.01.2020, 31/01/2020 or 1/31/2020."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from bptt.errors import DataError

_DAY = re.compile(r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})(?:([T ])(\d{1,2})(:.*))?")
_DIGITS = re.compile(r"(\d{4})(\d\d)(\d\d)")
_EARLIEST, _LATEST = 1800, 2200
"""Years that eight digits may begin with: others are numbers."""


@dataclass(frozen=True)
class Dates:
    """The order of year, month and day, what stands between, and whether 5 is written as 05.

    Examples
    --------
    >>> dates = Dates.of(["1/31/2020 9:00", "2/1/2020 10:00"])
    >>> dates
    Dates(order='mdy', mark='/', padded=False)
    >>> dates.iso("2/1/2020 9:00"), dates.written("2020-02-01")
    ('2020-02-01 09:00', '2/1/2020')
    """

    order: str = "ymd"
    mark: str = "-"
    padded: bool = True

    @classmethod
    def of(cls, texts: Iterable[str], *, digits: bool = True) -> "Dates":
        """Return how the days among some times are written.

        Parameters
        ----------
        texts : iterable of str
            What is no day in one of these forms does not count.
        digits : bool
            Whether eight digits may be a day, where all texts are.

        Raises
        ------
        DataError
            If a day and a month may be either in all of them.
        """
        distinct = [text.strip() for text in dict.fromkeys(texts)]
        compact = cls(mark="")
        if digits and distinct and all(_DIGITS.fullmatch(text) and compact.is_day(text) for text in distinct):
            return compact
        found = [match for text in distinct if (match := _DAY.fullmatch(text))]
        if not found:
            return cls()
        mark = found[0][2]
        padded = all(len(part) > 1 for match in found for part in match.group(1, 3, 4, 6) if part)
        orders = ["ymd"] if len(found[0][1]) == 4 else ["dmy"] if mark == "." else ["dmy", "mdy"]
        fit = [cls(order, mark, padded) for order in orders]
        fit = [each for each in fit if all(each.is_day(match[0]) for match in found)]
        if len(fit) > 1 and any(fit[0].iso(match[0]) != fit[1].iso(match[0]) for match in found):
            raise DataError(
                f"{found[0][0]!r:.40} may be day{mark}month or month{mark}day, and so may all others: "
                "write days as in 2020-01-31"
            )
        return fit[0] if fit else cls()

    def is_day(self, text: str) -> bool:
        """Return whether a time begins with a day of the calendar, written so."""
        day = self.iso(text)[:10]
        try:
            year = date.fromisoformat(day).year
        except ValueError:
            return False
        return bool(self.mark) or _EARLIEST <= year < _LATEST

    def iso(self, text: str) -> str:
        """Return a time with its day as in 2020-01-31; as it is where its day is not written so."""
        text = text.strip()
        if not self.mark:
            found = _DIGITS.fullmatch(text)
            return "-".join(found.groups()) if found else text
        match = _DAY.fullmatch(text)
        if match is None or match[2] != self.mark:
            return text
        parts = dict(zip(self.order, match.group(1, 3, 4), strict=True))
        try:
            day = date(int(parts["y"]), int(parts["m"]), int(parts["d"])).isoformat()
        except ValueError:
            return text
        if len(parts["y"]) != 4:
            return text
        return day + (f"{match[5]}{match[6]:0>2}{match[7]}" if match[6] else "")

    def written(self, day: str) -> str:
        """Return a day as in 2020-01-31 as the column writes it."""
        parts = dict(zip("ymd", day.split("-"), strict=True))
        return self.mark.join(self.short(parts[name]) for name in self.order)

    def short(self, part: str) -> str:
        """Return a day, month or hour of two digits as the column writes it."""
        return part if self.padded else str(int(part))
