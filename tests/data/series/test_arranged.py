"""Series as people have them: a row each, in any order, with summer time, with numbers that mean none."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bptt import Settings
from bptt.data.series import Columns, Panel, read_panel
from bptt.data.tables.numbers import far_off
from bptt.errors import BpttWarning, ConfigError, DataError


def panel_of(folder: Path, rows: Sequence[str], columns: Columns) -> Panel:
    (folder / "a.csv").write_text("\n".join(rows) + "\n")
    return read_panel(str(folder / "a.csv"), columns)


def test_each_row_may_be_a_series_with_its_steps_in_columns(tmp_path: Path) -> None:
    rows = ["id,kind,d_1,d_2,d_3", "x,k,1,2,3", "y,k,4,,6", "z,k,7,8,"]
    panel = panel_of(tmp_path, rows, Columns("d_1:d_3", series="id"))
    assert (panel.names, panel.lengths.tolist()) == (["x", "y", "z"], [3, 3, 2])
    np.testing.assert_array_equal(panel.values, [1, 2, 3, 4, np.nan, 6, 7, 8])
    years = ["land,1999,2000,2001", "A,1,2,3", "B,4,5,"]
    panel = panel_of(tmp_path, years, Columns("1999:2001", series="land"))
    assert [panel.time(k, int(panel.ends[k])) for k in range(2)] == ["2002", "2001"]
    months = ["land,Nov-99,Dec-99,Jan-00", "A,1,2,3"]
    assert panel_of(tmp_path, months, Columns("Nov-99:Jan-00", series="land")).time(0, 3) == "Feb-00"
    with pytest.raises(DataError, match="'A' stands twice: want a row a series"):
        panel_of(tmp_path, [*months, "A,1,2,3"], Columns("Nov-99:Jan-00", series="land"))
    with pytest.raises(ConfigError, match="have no place in it"):
        panel_of(tmp_path, years, Columns("1999:2001", "land", series="land"))


def test_a_later_table_of_such_rows_goes_on_behind_the_last_column_that_was_read(tmp_path: Path) -> None:
    years = ["land,1999,2000,2001,2002,note,2003", "A,1,2,3,4,5,6"]
    columns = Columns("1999:2000", series="land")
    assert panel_of(tmp_path, years, columns).values.tolist() == [1, 2]
    assert panel_of(tmp_path, years, columns._replace(goes_on=True)).values.tolist() == [1, 2, 3, 4]
    named = columns._replace(value="1999,2000", goes_on=True)
    assert panel_of(tmp_path, years, named).values.tolist() == [1, 2]
    months = ["land,Nov-99,Dec-99,Jan-00,x-1", "A,1,2,3,4"]
    columns = Columns("Nov-99:Dec-99", series="land", goes_on=True)
    assert panel_of(tmp_path, months, columns).values.tolist() == [1, 2, 3]
    steps = ["id,d_1,d_2,d_3,e_4", "x,1,2,3,4"]
    assert panel_of(tmp_path, steps, Columns("d_1:d_2", series="id", goes_on=True)).values.tolist() == [
        1,
        2,
        3,
    ]


def test_rows_without_a_value_are_told(tmp_path: Path) -> None:
    rows = ["land,1999,2000", "A,1,2", "B,,", "C,,"]
    with pytest.warns(BpttWarning, match="2 of 3 rows, such as 'B', have no value and are left out"):
        assert panel_of(tmp_path, rows, Columns("1999:2000", series="land")).names == ["A"]
    with pytest.raises(DataError, match="no row has a value in 1999 to 2000"):
        panel_of(tmp_path, [rows[0], *rows[2:]], Columns("1999:2000", series="land"))


def test_rows_are_put_in_order_of_time(tmp_path: Path) -> None:
    rows = [f"{k},{s},{10 * k + ord(s)}" for k in range(5) for s in "ab"]
    columns = Columns("v", "t", "s")
    wanted = panel_of(tmp_path, ["t,s,v", *rows], columns)
    order = np.random.default_rng(0).permutation(9) + 1  # the first row stays, which names the first series
    found = panel_of(tmp_path, ["t,s,v", rows[0], *(rows[k] for k in order)], columns)
    assert found.names == wanted.names
    assert found.sha256 == wanted.sha256
    with pytest.raises(DataError, match="line 12, column t: 2 stands twice in series 'a', first in line"):
        panel_of(tmp_path, ["t,s,v", *rows[::-1], "2,a,1"], columns)


def test_summer_time_is_told_by_its_zone(tmp_path: Path) -> None:
    rows = ["t,v", "2021-10-31T01:00+02:00,1", "2021-10-31T02:00+02:00,2", "2021-10-31T02:00+01:00,3"]
    panel = panel_of(tmp_path, rows, Columns("v", "t"))
    assert [panel.time(0, k) for k in range(4)] == [
        f"2021-10-{30 + (k > 0)}T{(23 + k) % 24:02}:00+00:00" for k in range(4)
    ]
    one = panel_of(tmp_path, rows[:3], Columns("v", "t"))
    assert one.time(0, 2) == "2021-10-31T03:00+02:00"  # one zone is kept
    with pytest.raises(DataError, match="written otherwise"):
        panel_of(tmp_path, [*rows, "2021-10-31T05:00,1"], Columns("v", "t"))


def test_a_time_may_stand_in_several_columns_and_a_day_end_at_24(tmp_path: Path) -> None:
    rows = ["y,m,d,h,v", *(f"2021,1,{1 + k // 24},{k % 24},{k}" for k in range(20, 30))]
    panel = panel_of(tmp_path, rows, Columns("v", "y,m,d,h"))
    assert (str(panel.clock.step), panel.time(0, 0), panel.time(0, 10)) == (
        "1 hour",
        "2021 1 1 20",
        "2021 1 2 6",
    )
    ends = panel_of(tmp_path, ["t,v", *(f"2021-01-01 {k}:00,{k}" for k in range(20, 25))], Columns("v", "t"))
    assert (ends.time(0, 4), ends.time(0, 5)) == ("2021-01-02 00:00", "2021-01-02 01:00")
    with pytest.raises(DataError, match="'2021-01-01 24:01' is no time"):
        panel_of(tmp_path, ["t,v", "2021-01-01 24:01,1"], Columns("v", "t"))


def test_days_of_a_place_with_summer_time_are_days(tmp_path: Path) -> None:
    rows = ["t,v", *(f"2021-03-{d} 00:00:00+0{1 + (d > 28)}:00,{d}" for d in range(26, 32))]
    panel = panel_of(tmp_path, rows, Columns("v", "t"))
    assert [panel.time(0, k) for k in (0, 5, 6)] == [
        f"2021-{d} 00:00:00" for d in ("03-26", "03-31", "04-01")
    ]


def test_numbers_that_mean_none(tmp_path: Path) -> None:
    rows = ["v", *(str(-999 if k % 5 == 2 else k % 7) for k in range(30))]
    panel = panel_of(tmp_path, rows, Columns("v"))
    assert far_off(panel.values) == (-999, 6)
    found = panel_of(tmp_path, rows, Columns("v", missing=Settings(missing="-999, -99.9").no_numbers))
    assert np.isnan(found.values).sum() == 6
    points = panel_of(tmp_path, ["v", "1", ".", "..", "-", "#N/A", "-.5"], Columns("v"))
    np.testing.assert_array_equal(points.values, [1, np.nan, np.nan, np.nan, np.nan, -0.5])
    assert far_off(found.values) is None
    assert far_off(np.array([5.0, 6, 7, 8, 1e7])) == (1e7, 1)
    for usual in ([5, 6, 7, 8, 30], [0, 0, 0, 1, 2, 3], [0, 1, 1, 0, 1, 1], [5, 5, 5, 5]):
        assert far_off(np.array(usual, float)) is None
    assert far_off(np.array([5.0, 5, 5, 9999, 9999])) == (9999, 2)
    with pytest.raises(ConfigError, match="--missing is a list of numbers"):
        _ = Settings(missing="NA").no_numbers
