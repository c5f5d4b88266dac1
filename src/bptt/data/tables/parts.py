"""Times whose parts stand in several columns: which part a column has, by its name."""

import re
from collections.abc import Sequence

_NAMED = {
    **dict.fromkeys(("year", "yr", "yyyy", "yy"), "%Y"),
    **dict.fromkeys(("month", "mon", "mo", "mm", "mnth"), "%m"),
    **dict.fromkeys(("day", "dd", "dom", "mday", "dayofmonth", "dateofmonth", "monthday"), "%d"),
    **dict.fromkeys(("doy", "dayofyear", "yday", "yearday", "jday", "julian", "julianday"), "%j"),
    **dict.fromkeys(("hour", "hr", "hh", "hours", "hourofday"), "%H"),
    **dict.fromkeys(("minute", "min", "mi", "minutes"), "%M"),
    **dict.fromkeys(("second", "sec", "ss", "seconds"), "%S"),
    **dict.fromkeys(("quarter", "qtr"), "Q%q"),
    **dict.fromkeys(("week", "isoweek", "weekofyear"), "W%V"),
}
"""What a column of such a name has, in small letters and without marks."""


def forms_of(columns: Sequence[str]) -> list[str]:
    """Return the forms that times may have whose parts stand in columns of such names; none of other names.

    Examples
    --------
    >>> forms_of(["Year", "Day", "Month"]), forms_of(["year", "day"]), forms_of(["date", "hour"])
    (['%Y %d %m', '%Y %d %b', '%Y %d %B', '%y %d %m', '%y %d %b', '%y %d %B'], ['%Y %j', '%y %j'], [])
    """
    parts = [_NAMED.get(re.sub(r"[\W\d_]", "", column.lower()), "") for column in columns]
    if "%Y" not in parts or "" in parts or len({*parts}) < len(parts):
        return []
    if "%d" in parts and "%m" not in parts:  # of the week, or of the year
        day = "%u" if "W%V" in parts else "%j"
        parts = [day if part == "%d" else part for part in parts]
    if "W%V" in parts:
        parts = ["%G" if part == "%Y" else part for part in parts]
    form = " ".join(parts)
    forms = [form.replace("%m", each) for each in ("%m", "%b", "%B")] if "%m" in form else [form]
    return forms + [each.replace("%Y", "%y") for each in forms if "%Y" in each]
