"""Days are read as a column writes them, and go on so."""

from pathlib import Path

import pytest

from bptt.data.series import Columns, read_panel
from bptt.data.tables import read_table
from bptt.data.tables.dates import Dates
from bptt.errors import DataError
from bptt.training.jobs.series import until

FORMS = {
    "day.month": (["30.01.2020", "31.01.2020"], "01.02.2020"),
    "day/month": (["30/1/2020", "31/1/2020"], "1/2/2020"),
    "day-month": (["30-01-2020", "31-01-2020"], "01-02-2020"),
    "month/day": (["01/30/2020", "01/31/2020"], "02/01/2020"),
    "year/month": (["2020/1/30", "2020/1/31"], "2020/2/1"),
    "eight digits": (["20200130", "20200131"], "20200201"),
    "hours": (["1/31/2020 22:00", "1/31/2020 23:00"], "2/1/2020 0:00"),
    "dashes": (["2020-01-30", "2020-01-31"], "2020-02-01"),
}


@pytest.mark.parametrize("name", FORMS)
def test_series_go_on_as_their_days_are_written(tmp_path: Path, name: str) -> None:
    texts, wanted = FORMS[name]
    (tmp_path / "a.csv").write_text("t,v\n" + "".join(f"{text},1\n" for text in texts))
    panel = read_panel(str(tmp_path / "a.csv"), Columns("v", "t"))
    assert [panel.time(0, k) for k in range(3)] == [*texts, wanted]
    assert until(panel).startswith("2020-01-31")  # which no column's order reads otherwise


def test_days_that_may_be_months_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,v\n01/02/2020,1\n01/03/2020,2\n")
    with pytest.raises(DataError, match="column t: '01/02/2020' may be day/month or month/day"):
        read_panel(str(tmp_path / "a.csv"), Columns("v", "t"))


def test_one_day_tells_the_order_of_all() -> None:
    assert Dates.of(["01/02/2020", "13/02/2020"]).iso("01/02/2020") == "2020-02-01"
    assert Dates.of(["01/02/2020", "02/13/2020"]).iso("01/02/2020") == "2020-01-02"
    assert Dates.of(["13/02/2020", "02/13/2020"]) == Dates()  # none has both: the first is no time


def test_eight_digits_are_days_where_all_are_and_a_run_does_not_count_in_numbers(tmp_path: Path) -> None:
    assert Dates.of(["20200130", "20200199"]) == Dates()
    assert Dates.of(["10000101", "10000102"]) == Dates()  # a number of any year
    assert Dates.of(["20200130"], digits=False) == Dates()


def test_times_of_sequences_are_read_so_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,v\n31.01.2020 9:00,1\n01.02.2020 10:00,2\n")
    times = read_table(tmp_path / "a.csv").times("t")
    assert str(times[1] - times[0]) == "1500 minutes"
