"""Series of a table in long format: read in equal steps; what is wrong with one has its line."""

from pathlib import Path

import numpy as np
import pytest

from bptt.data.series import Columns, Panel, read_panel
from bptt.data.tables import Category, Number, Table
from bptt.errors import ConfigError, DataError

COLUMNS = Columns("sold", "day", "shop")


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    return tmp_path / "sales.csv"


def panel_of(path: Path, text: str, columns: Columns = COLUMNS, **how: object) -> Panel:
    path.write_text(text)
    return read_panel(str(path), columns, **how)  # type: ignore[arg-type]


TWO = """shop,day,sold,price
b,2020-01-01,1,5
a,2020-01-01,10,7
b,2020-01-02,,6
a,2020-01-02,20,7
b,2020-01-03,3,5
a,2020-01-03,,8
"""


def test_rows_of_several_series_may_be_mixed(sales: Path) -> None:
    panel = panel_of(sales, TWO, COLUMNS._replace(covariates=("price",)))
    assert panel.names == ["b", "a"]
    assert panel.lengths.tolist() == [3, 3]
    assert panel.ends.tolist() == [3, 2]  # a's last row is known ahead of time alone
    assert np.array_equal(panel.values, [1, np.nan, 3, 10, 20, np.nan], equal_nan=True)
    code = panel.codes["price"]
    assert isinstance(code, Number)
    assert code.decode(panel.covariates[:, 0]).round(5).tolist() == [5, 6, 5, 7, 7, 8]
    assert [panel.time(1, step) for step in range(5)] == [f"2020-01-0{day}" for day in range(1, 6)]


def test_names_become_a_column_for_each(sales: Path) -> None:
    text = "day,sold,holiday\n2020-01-01,1,no\n2020-01-02,2,yes\n"
    columns = Columns("sold", "day", covariates=("holiday",))
    panel = panel_of(sales, text, columns)
    assert panel.covariates.tolist() == [[1, 0], [0, 1]]
    assert panel.codes == {"holiday": Category(["no", "yes"])}
    with pytest.raises(DataError, match="column holiday: 'maybe' is none of the 2 that the run knows"):
        panel_of(sales, text.replace("yes", "maybe"), columns, codes=panel.codes)


def test_missing_rows_are_masked_where_that_is_asked_for(sales: Path) -> None:
    text = "day,sold,price\n2020-01-01,1,4\n2020-01-02,2,4\n2020-01-04,4,6\n"
    columns = Columns("sold", "day", covariates=("price",))
    with pytest.raises(
        DataError,
        match=r"sales.csv: line 4, column day: from 2020-01-02 to 2020-01-04 a row is missing, where a step "
        r"is 1 day: add rows without a value, or --gaps mask",
    ):
        panel_of(sales, text, columns)
    panel = panel_of(sales, text, columns, gaps="mask")
    assert np.array_equal(panel.values, [1, 2, np.nan, 4], equal_nan=True)
    assert panel.known.tolist() == [True, True, False, True]
    assert panel.covariates[2] == 0


def test_without_times_rows_are_counted(sales: Path) -> None:
    panel = panel_of(sales, "shop,sold\na,1\nb,5\na,2\n", Columns("sold", series="shop"))
    assert panel.names == ["a", "b"]
    assert (panel.time(0, 2), panel.time(1, 1)) == ("3", "2")


WRONG: dict[str, tuple[str, str]] = {
    "no such column": ("shop,day,sale\na,1,1\n", "has no column 'sold'; it has shop, day, sale"),
    "no number": (
        "shop,day,sold\na,1,1\na,2,many\n",
        "line 3, column sold: 'many' is no number",
    ),
    "infinite": ("shop,day,sold\na,1,1\na,2,inf\n", "line 3, column sold: 'inf' is no number"),
    "no time": ("shop,day,sold\na,1,1\na,soon,2\n", "line 3, column day: 'soon' is no time: want a number"),
    "twice": (
        "shop,day,sold\na,2020-01-01,1\nb,2020-01-01,1\na,2020-01-01,2\n",
        "line 4, column day: 2020-01-01 stands twice in series 'a', first in line 2: leave one out",
    ),
    "gap": (
        "shop,day,sold\na,1,1\na,2,1\na,3,1\na,7,2\n",
        "line 5, column day: from 3 to 7 in series 'a' 3 rows are missing, where a step is 1",
    ),
    "irregular": (
        "shop,day,sold\na,2020-01-01,1\na,2020-01-08,1\na,2020-01-15,1\na,2020-01-19,2\n",
        "from 2020-01-15 to 2020-01-19 in series 'a' is no whole number of steps of 1 week: times must be in",
    ),
    "two forms": (
        "shop,day,sold\na,2020-01-01,1\na,2020-01-02T00:00,1\n",
        "line 3, column day: '2020-01-02T00:00' is written otherwise than '2020-01-01'",
    ),
    "days as numbers": (
        "shop,day,sold\na,20200130,1\na,20200131,1\na,20200232,2\n",
        "from 20200131 to 20200232 in series 'a' 100 rows are missing, where a step is 1: add rows without a "
        "value, or --gaps mask; days are written as 2020-01-31",
    ),
    "too large": ("shop,day,sold\na,1,1\na,2,1e200\n", "line 3, column sold: '1e200' is beyond 1e+150"),
    "no name": ("shop,day,sold\na,1,1\n,2,1\n", "line 3, column shop: is empty, and says which series"),
    "a far time": (
        "shop,day,sold\na,1,1\na,2,1\na,3,1\na,1e15,2\n",
        "line 5, column day: from 3 to 1e15 in series 'a' are 1e+15 steps of 1: is that time right?",
    ),
    "one row each": ("shop,day,sold\na,1,1\nb,1,1\n", "no series has two rows"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_series_is_told_in_a_line(sales: Path, name: str) -> None:
    text, says = WRONG[name]
    with pytest.raises(DataError) as told:
        panel_of(sales, text)
    assert says in str(told.value)
    assert str(sales) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_far_time_makes_no_steps_even_where_gaps_are_masked(sales: Path) -> None:
    far = "shop,day,sold\na,2020-01-01,1\na,2020-01-02,1\na,2200-01-01,1\n"
    assert panel_of(sales, far, gaps="mask").lengths[0] > 60_000
    with pytest.raises(DataError, match=r"are 1e\+15 steps of 1: is that time right"):
        panel_of(sales, WRONG["a far time"][0], gaps="mask")


@pytest.mark.parametrize(
    "columns",
    [
        Columns("sold", "sold", "shop"),
        Columns("sold", "day", "sold"),
        Columns("sold", "day", "shop", ("sold",)),
        Columns("sold", "day", "shop", ("day", "day")),
    ],
)
def test_what_is_forecast_is_nothing_else(sales: Path, columns: Columns) -> None:
    with pytest.raises(ConfigError, match=r"sold is what is forecast|day,day names a column twice"):
        panel_of(sales, TWO, columns)


def test_several_series_that_are_not_named_are_pointed_at(sales: Path) -> None:
    with pytest.raises(DataError, match="leave one out; where there are several series, --series COL"):
        panel_of(sales, TWO, Columns("sold", "day"))


def test_what_is_known_ahead_must_be_there_for_the_horizon(sales: Path) -> None:
    panel = panel_of(sales, TWO, COLUMNS._replace(covariates=("price",)))
    with pytest.raises(
        DataError,
        match="series 'b' has no row for 2020-01-04: a forecast of 1 steps wants price for each of them, in "
        "rows without a sold",
    ):
        panel.expect_covariates(1)
    panel_of(sales, TWO).expect_covariates(100)  # nothing need be known


def test_series_go_on_with_values_of_another(sales: Path) -> None:
    panel = panel_of(sales, TWO, COLUMNS._replace(covariates=("price",)))
    longer = panel.going_on(np.array([[7.0, 8.0], [9.0, 10.0]]))
    assert np.array_equal(longer.values, [1, np.nan, 3, 7, 8, 10, 20, 9, 10], equal_nan=True)
    assert longer.ends.tolist() == [5, 4]
    assert [longer.time(k, 0) for k in range(2)] == ["2020-01-01"] * 2
    assert longer.covariates[[0, 5, 7]].tolist() == panel.covariates[[0, 3, 5]].tolist()


def test_the_digest_is_that_of_what_is_read(sales: Path) -> None:
    first = panel_of(sales, TWO).sha256
    assert panel_of(sales, TWO.replace(",7\n", ",9\n")).sha256 == first  # a column that is not read
    assert panel_of(sales, TWO.replace("10,", "11,")).sha256 != first
    assert panel_of(sales, TWO.replace("2020", "2021")).sha256 != first


WIDE = "day,temp,a,b,c\n2020-01-01,5,1,10,100\n2020-01-02,6,2,,101\n2020-01-03,7,,12,102\n"


@pytest.mark.parametrize("value", ["a,b,c", "a:c", "a,b:c"])
def test_series_beside_each_other_are_read_as_if_below_each_other(sales: Path, value: str) -> None:
    panel = panel_of(sales, WIDE, Columns(value, "day", covariates=("temp",)))
    rows = [line.split(",") for line in WIDE.splitlines()[1:]]
    long = [f"{'abc'[k]},{row[0]},{row[1]},{row[2 + k]}" for k in range(3) for row in rows]
    wanted = panel_of(
        sales, "\n".join(["series,day,temp,value", *long]), Columns("value", "day", "series", ("temp",))
    )
    assert panel.names == ["a", "b", "c"]
    assert panel.ends.tolist() == [2, 3, 3]
    assert panel.sha256 == wanted.sha256
    assert panel.columns == wanted.columns


def test_series_beside_each_other_are_told_what_is_wrong_by_their_column(sales: Path) -> None:
    with pytest.raises(DataError, match="line 3, column b: 'x' is no number"):
        panel_of(sales, WIDE.replace("2,,", "2,x,"), Columns("a,b,c", "day"))
    with pytest.raises(DataError, match="has no column 'd'; it has day, temp, a, b, c"):
        panel_of(sales, WIDE, Columns("a,d", "day"))
    with pytest.raises(DataError, match="a stands before c: as in a:c"):
        panel_of(sales, WIDE, Columns("c:a", "day"))
    with pytest.raises(ConfigError, match="each row is a series"):
        panel_of(sales, WIDE, Columns("a,b", "day", "c"))
    with pytest.raises(ConfigError, match="day is what is forecast"):
        panel_of(sales, WIDE, Columns("day,b", "day"))


def test_digits_that_are_no_months_are_numbers_and_a_time_is_quoted_as_it_stands(sales: Path) -> None:
    rows = "".join(f"{month},1\n" for month in (202011, 202012, 202013, 202101))
    with pytest.raises(
        DataError,
        match=r"87 rows are missing.*; months are written as 2020-01, or --date-format %Y%m, for here",
    ):
        panel_of(sales, "month,sold\n" + rows, Columns("sold", "month"))
    with pytest.raises(DataError, match=r"line 2, column day: '01/28/2020 9 h' is no time"):
        panel_of(sales, "day,sold\n01/28/2020 9 h,1\n", Columns("sold", "day"))


def test_where_a_name_is_empty_it_is_one_of_the_names(sales: Path) -> None:
    text = "day,holiday,sold\n1,xmas,1\n2,,2\n3,,3\n4,new year,4\n"
    panel = panel_of(sales, text, Columns("sold", "day", covariates=("holiday",)))
    assert panel.codes == {"holiday": Category(["", "new year", "xmas"])}
    with pytest.raises(DataError, match="line 3, column holiday: is empty"):
        panel_of(sales, text.replace("xmas", "1"), Columns("sold", "day", covariates=("holiday",)))


def test_an_hour_that_each_series_has_for_itself_stays() -> None:
    days = [f"2020-0{month}-0{day} 0{hour}:00" for month, hour in ((1, 8), (2, 9)) for day in (1, 2, 3)]
    columns = {"shop": [*"aaabbb"], "t": days, "v": [*range(6)]}
    panel = read_panel(Table.of(columns), Columns("v", "t", "shop"))
    assert [panel.time(k, 3) for k in (0, 1)] == ["2020-01-04 08:00", "2020-02-04 09:00"]
    berlin = ["2020-03-27 23:00", "2020-03-28 23:00", "2020-03-29 22:00", "2020-03-30 22:00"]
    panel = read_panel(Table.of({"t": berlin, "v": [*range(4)]}), Columns("v", "t"))
    assert (str(panel.clock.step), panel.lengths.tolist()) == ("1 day", [4])
    shifts = [f"2020-01-0{day} 0{8 + day % 2}:00" for day in range(1, 8)]  # an hour that alternates is none
    with pytest.raises(DataError, match="equal steps"):
        read_panel(Table.of({"t": shifts, "v": [*range(7)]}), Columns("v", "t"))
