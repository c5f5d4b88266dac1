"""Times are read as tables have them, their step is found, and they go on in the same form."""

import numpy as np
import pytest

from bptt.data.series.clock import Clock, Step, read_time
from bptt.errors import DataError


def clock_of(*texts: str, step: Step | None = None) -> tuple[Clock, list[float]]:
    read = [read_time(text) for text in texts]
    times = np.array([time for _, time in read])
    return Clock.of([times], read[0][0], step), list(times)


GO_ON: dict[str, tuple[str, list[str], list[str]]] = {
    "numbers": ("1", ["1700", "1701", "1702"], ["1703", "1704"]),
    "halves": ("0.5", ["0.5", "1.0", "1.5"], ["2.0", "2.5"]),
    "decimal years": ("0.0833333", ["2000.0000", "2000.0833", "2000.1667", "2000.2500"], ["2000.3333"]),
    "months": ("1 month", ["2019-11", "2019-12"], ["2020-01", "2020-02"]),
    "quarters": ("3 months", ["2019Q3", "2019Q4"], ["2020Q1", "2020Q2"]),
    "quarters with a dash": ("3 months", ["2019-Q3", "2019-Q4"], ["2020-Q1"]),
    "days": ("1 day", ["2020-02-27", "2020-02-28"], ["2020-02-29", "2020-03-01"]),
    "weeks": ("1 week", ["2020-02-15", "2020-02-22"], ["2020-02-29", "2020-03-07"]),
    "first days of months": ("1 month", ["2019-11-01", "2019-12-01"], ["2020-01-01", "2020-02-01"]),
    "last days of months": ("1 month", ["2019-12-31", "2020-01-31"], ["2020-02-29", "2020-03-31"]),
    "30th days of months": ("1 month", ["2019-12-30", "2020-01-30"], ["2020-02-29", "2020-03-30"]),
    "days of quarters": ("3 months", ["2019-07-01", "2019-10-01"], ["2020-01-01", "2020-04-01"]),
    "days of years": ("1 year", ["2018-12-31", "2019-12-31"], ["2020-12-31", "2021-12-31"]),
    "weekdays": (
        "1 weekday",
        ["2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09", "2020-01-10", "2020-01-13"],
        ["2020-01-14", "2020-01-15", "2020-01-16", "2020-01-17", "2020-01-20"],
    ),
    "hours": ("1 hour", ["2020-02-28 22:00", "2020-02-28 23:00"], ["2020-02-29 00:00"]),
    "quarter hours": (
        "15 minutes",
        ["2020-01-01T00:30:00Z", "2020-01-01T00:45:00Z"],
        ["2020-01-01T01:00:00Z"],
    ),
    "tenths": (
        "100000 microseconds",
        ["2020-01-01 00:00:00.8", "2020-01-01 00:00:00.9"],
        ["2020-01-01 00:00:01.0"],
    ),
}


@pytest.mark.parametrize("name", GO_ON)
def test_times_go_on_as_they_are_written(name: str) -> None:
    says, texts, wanted = GO_ON[name]
    clock, times = clock_of(*texts)
    assert str(clock.step) == says
    assert clock.count(np.array(times)).tolist() == [1] * (len(texts) - 1)
    assert [clock.text(times[-1], k) for k in range(1, len(wanted) + 1)] == wanted
    assert [clock.text(times[-1], -k) for k in range(len(texts))] == texts[::-1]


@pytest.mark.parametrize(
    ("texts", "steps"),
    [
        (["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-06"], [1, 1, 3]),
        (["2020-01", "2020-02", "2020-03", "2020-05"], [1, 1, 2]),
        (["2020-01-01", "2020-02-01", "2020-04-01", "2020-05-01"], [1, 2, 1]),
        (["1", "2", "3", "3.5"], [1, 1, 0.5]),
        (
            ["2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09", "2020-01-10", "2020-01-14"],
            [1, 1, 1, 1, 2],
        ),
        (["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 02:00", "2020-01-01 02:30"], [1, 1, 0.5]),
    ],
)
def test_gaps_and_broken_steps_are_counted(texts: list[str], steps: list[float]) -> None:
    clock, times = clock_of(*texts)
    assert clock.count(np.array(times)).tolist() == steps


@pytest.mark.parametrize(
    "text", ["", "soon", "2020-13", "2020-02-30", "01/02/2020", "2020-01-01T25:00", "nan", "2020Q5"]
)
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(DataError, match="is no time: want a number, or as in 2020-01-31"):
        read_time(text)


def test_the_step_of_a_run_is_taken_where_a_table_has_one_row() -> None:
    clock, times = clock_of("2020-02-29", step=Step("month", 1))
    assert clock.text(times[0], 1) == "2020-03-29"
    with pytest.raises(DataError, match="no series has two rows, so that the step of time is not known"):
        clock_of("2020-02-29")
    with pytest.raises(DataError, match="times are in steps of 1 month, which these are not"):
        clock_of("3", step=Step("month", 1))
