"""Days are read as a column writes them, and go on so."""

from pathlib import Path

import pytest

from bptt.data.series import Columns, read_panel
from bptt.data.tables import read_table
from bptt.data.tables.dates import Dates
from bptt.errors import ConfigError, DataError
from bptt.training.jobs.series import until

FORMS = {
    "day.month": (["30.01.2020", "31.01.2020"], "01.02.2020"),
    "day/month": (["30/1/2020", "31/1/2020"], "1/2/2020"),
    "day-month": (["30-01-2020", "31-01-2020"], "01-02-2020"),
    "month/day": (["01/30/2020", "01/31/2020"], "02/01/2020"),
    "year/month": (["2020/1/30", "2020/1/31"], "2020/2/1"),
    "eight digits": (["20200130", "20200131"], "20200201"),
    "hours": (["1/31/2020 22:00", "1/31/2020 23:00"], "2/1/2020 0:00"),
    "noon": (["1/31/2020 10:00 PM", "1/31/2020 11:00 PM"], "2/1/2020 12:00 AM"),
    "names": (["30-Jan-20", "31-Jan-20"], "01-Feb-20"),
    "German": (["30. Januar 2020", "31. Januar 2020"], "01. Februar 2020"),
    "Portuguese": (["30 de janeiro de 2020", "31 de janeiro de 2020"], "01 de fevereiro de 2020"),
    "Japanese": (["2020年1月30日", "2020年1月31日"], "2020年2月1日"),
    "points": (["31/01/2020 22.00.00", "31/01/2020 23.00.00"], "01/02/2020 00.00.00"),
    "capitals": (["30JAN2020", "31JAN2020"], "01FEB2020"),
    "long names": (["January 1, 2020", "January 31, 2020"], "March 1, 2020"),
    "two digits": (["30.1.20", "31.1.20"], "1.2.20"),
    "seconds": (["31/01/2020 22:00:30", "31/01/2020 23:00:30"], "01/02/2020 00:00:30"),
    "zones": (["31 Jan 2020 22:00 UTC", "31 Jan 2020 23:00 UTC"], "01 Feb 2020 00:00 UTC"),
    "dashes": (["2020-01-30", "2020-01-31"], "2020-02-01"),
}


def test_a_month_and_a_year_with_a_point_between_are_no_number(tmp_path: Path) -> None:
    for texts, then in ((("11.2020", "12.2020", "01.2021"), "02.2021"), (("1.2020", "2.2020"), "3.2020")):
        (tmp_path / "a.csv").write_text("t,v\n" + "".join(f"{text},1\n" for text in texts))
        assert read_panel(str(tmp_path / "a.csv"), Columns("v", "t")).time(0, len(texts)) == then


@pytest.mark.parametrize("name", FORMS)
def test_series_go_on_as_their_days_are_written(tmp_path: Path, name: str) -> None:
    texts, wanted = FORMS[name]
    (tmp_path / "a.csv").write_text("t\tv\n" + "".join(f"{text}\t1\n" for text in texts))
    panel = read_panel(str(tmp_path / "a.csv"), Columns("v", "t"))
    assert [panel.time(0, k) for k in range(3)] == [*texts, wanted]
    assert until(panel).startswith("2020-01-31")  # which no column's order reads otherwise


LONGER = {
    "months": (["Dec-89", "Jan-90"], "Feb-90", "1990-01"),
    "months of names": (["December 1989", "January 1990"], "February 1990", "1990-01"),
    "months of long names": (["December-1989", "January-1990"], "February-1990", "1990-01"),
    "French months": (["déc 1989", "janv 1990"], "févr 1990", "1990-01"),
    "Dutch months": (["jan-90", "feb-90", "mrt-90"], "apr-90", "1990-03"),
    "months by their first day, as in Britain": (["01/12/1989", "01/01/1990"], "01/02/1990", "1990-01-01"),
    "months by their first day, as in America": (["12/1/1989", "1/1/1990"], "2/1/1990", "1990-01-01"),
    "months of statistics": (["1989M12", "1990M01"], "1990M02", "1990-01"),
    "six digits": (["198912", "199001"], "199002", "1990-01"),
    "hours of digits": (["2020022923", "2020030100"], "2020030101", "2020-03-01 00:00"),
    "minutes of digits": (["202002292359", "202003010000"], "202003010001", "2020-03-01 00:00"),
    "quarters": (["Q3 1989", "Q4 1989"], "Q1 1990", "1989Q4"),
    "weeks": (["2020-W52", "2020-W53"], "2021-W01", "2020-12-28"),
}


@pytest.mark.parametrize("name", LONGER)
def test_months_quarters_and_weeks_go_on_over_the_turn_of_the_year(tmp_path: Path, name: str) -> None:
    texts, wanted, end = LONGER[name]
    (tmp_path / "a.csv").write_text("t\tv\n" + "".join(f"{text}\t1\n" for text in texts))
    panel = read_panel(str(tmp_path / "a.csv"), Columns("v", "t"))
    assert [panel.time(0, k) for k in range(len(texts) + 1)] == [*texts, wanted]
    assert until(panel) == end


@pytest.mark.parametrize(
    ("form", "texts", "wanted"),
    [
        ("%d/%m/%Y", ["01/02/2020", "02/02/2020"], "03/02/2020"),
        ("%m/%d/%Y", ["01/02/2020", "02/02/2020"], "03/02/2020"),
        ("%Y%m", ["202011", "202012"], "202101"),
        ("%Y-%m-%d %Hh", ["2020-01-31 22h", "2020-01-31 23h"], "2020-02-01 00h"),
        ("FY%Y", ["FY2019", "FY2020"], "FY2021"),
    ],
)
def test_a_form_that_is_said_is_taken(tmp_path: Path, form: str, texts: list[str], wanted: str) -> None:
    (tmp_path / "a.csv").write_text("t\tv\n" + "".join(f"{text}\t1\n" for text in texts))
    panel = read_panel(str(tmp_path / "a.csv"), Columns("v", "t", dates=form))
    assert [panel.time(0, k) for k in range(3)] == [*texts, wanted]
    step = str(panel.clock.step)
    assert step == {"%d": "1 day", "%m": "1 month", "FY": "1"}.get(form[:2], step)


@pytest.mark.parametrize("form", ["%d/%m", "%Y%Q", "%Y %Y", "none"])
def test_a_form_that_says_no_time_is_refused(form: str) -> None:
    with pytest.raises(ConfigError, match="--date-format"):
        Dates(form)


@pytest.mark.parametrize("text", ["13:05 PM", "0:30 am", "31/02/2020", "Foo 2020", "2020-W54", "2020M13"])
def test_what_is_no_time_is_not_taken_for_one(text: str) -> None:
    assert Dates.of([text]) == Dates()


def test_days_that_may_be_months_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,v\n01/02/2020,1\n01/03/2020,2\n")
    with pytest.raises(DataError, match=r"column t: '01/02/2020' may be %d/%m/%Y or %m/%d/%Y.*--date-format"):
        read_panel(str(tmp_path / "a.csv"), Columns("v", "t"))


def test_one_day_tells_the_order_of_all() -> None:
    assert Dates.of(["01/02/2020", "13/02/2020"]).iso("01/02/2020") == "2020-02-01"
    assert Dates.of(["01/02/2020", "02/13/2020"]).iso("01/02/2020") == "2020-01-02"
    mixed = Dates.of(["13/02/2020", "02/13/2020"])  # none has both: the other is no time
    assert mixed.iso("13/02/2020") == "2020-02-13"
    assert mixed.iso("02/13/2020") == "02/13/2020"


def test_eight_digits_are_days_where_all_are_and_a_run_does_not_count_in_numbers(tmp_path: Path) -> None:
    assert Dates.of(["20200130", "20200199"]) == Dates()
    assert Dates.of(["10000101", "10000102"]) == Dates()  # a number of any year
    assert Dates.of(["20200130"], digits=False) == Dates()


def test_times_of_sequences_are_read_so_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,v\n31.01.2020 9:00,1\n01.02.2020 10:00,2\n")
    times = read_table(tmp_path / "a.csv").times("t")
    assert str(times[1] - times[0]) == "1500 minutes"


PARTS = {
    "year,month,day": (["2020,1,5", "2020,1,6"], "2020 1 7", "2020-01-06"),
    "year,day,month": (["2020,1,5", "2020,2,5", "2020,3,5"], "2020 4 5", "2020-05-03"),
    "Day_of_month,Mo,Yr": (["1,5,2020", "2,5,2020"], "3 5 2020", "2020-05-02"),
    "year,dayofyear": (["2020,1", "2020,2", "2020,3"], "2020 4", "2020-01-03"),
    "yy,mm,dd": (["99,12,30", "99,12,31"], "00 01 01", "1999-12-31"),
    "year,day": (["2019,364", "2019,365"], "2020 001", "2019-12-31"),
    "year,month,day,hour,minute": (["2020,1,5,23,0", "2020,1,5,23,30"], "2020 1 6 0 0", "2020-01-05 23:30"),
    "year,month": (["2020,January", "2020,February"], "2020 March", "2020-02"),
    "year,mon": (["2020,JAN", "2020,FEB"], "2020 MAR", "2020-02"),
}


@pytest.mark.parametrize("names", PARTS)
def test_columns_that_are_parts_of_a_time_are_read_by_their_names(tmp_path: Path, names: str) -> None:
    rows, wanted, end = PARTS[names]
    (tmp_path / "a.csv").write_text(f"{names},v\n" + "".join(f"{row},1\n" for row in rows))
    panel = read_panel(str(tmp_path / "a.csv"), Columns("v", names))
    assert panel.time(0, len(rows)) == wanted
    assert until(panel) == end


def test_first_days_of_one_year_may_be_days_of_january() -> None:
    with pytest.raises(DataError, match="may be %d/%m/%Y or %m/%d/%Y"):
        Dates.of(["01/01/2020", "01/02/2020", "01/03/2020"])
    with pytest.raises(DataError, match="may be %d/%m/%Y or %m/%d/%Y"):
        Dates.of(["01/02/2019", "03/04/2020", "05/06/2021"])


@pytest.mark.parametrize("hours", [("23", "22"), ("08", "07")])
def test_midnights_of_a_place_with_summer_time_are_days_and_months(
    tmp_path: Path, hours: tuple[str, str]
) -> None:
    winter, summer = hours
    days = [f"2020-03-2{k}T{winter if k < 6 else summer}:00:00.000Z" for k in range(10)]
    (tmp_path / "a.csv").write_text("t,v\n" + "".join(f"{text},1\n" for text in days))
    panel = read_panel(str(tmp_path / "a.csv"), Columns("v", "t"))
    assert (str(panel.clock.step), panel.lengths.tolist()) == ("1 day", [10])
    assert panel.time(0, 10) == f"2020-03-30T{winter}:00:00.000Z"


def test_two_readings_a_day_an_hour_apart_are_no_summer_time(tmp_path: Path) -> None:
    texts = [f"2020-01-0{day}T0{hour}:00" for day in (1, 2, 3) for hour in (7, 8)]
    (tmp_path / "a.csv").write_text("t,v\n" + "".join(f"{text},1\n" for text in texts))
    panel = read_panel(str(tmp_path / "a.csv"), Columns("v", "t"), gaps="mask")
    assert (str(panel.clock.step), panel.known.sum(), panel.lengths.tolist()) == ("1 hour", 6, [50])
