"""``bptt train --task forecast``, ``bptt forecast`` and ``bptt eval`` of series."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from bptt.cli import run as bptt
from bptt.data.tables import read_table
from command import Capture, contents
from small_series import ASKED, sold, table

TRAIN = [f"--{name.replace('_', '-')}={value}" for name, value in ASKED.items()]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table and two runs on it: with prices known ahead of time, and of quantiles."""
    shop = tmp_path_factory.mktemp("shop")
    shop.joinpath("sales.csv").write_text(table({"a": sold(0, 90), "b": sold(1, 75)}))
    shop.joinpath("book.txt").write_text("ab" * 200)
    train = ["train", str(shop / "sales.csv"), *TRAIN]
    assert bptt([*train, "--covariates=price", "--out", str(shop / "run")]) == 0
    assert bptt([*train, "--loss=quantile", "--out", str(shop / "quantiles")]) == 0
    text = ["--hidden=4", "--steps=1", "--batch=2", "--chunk=4", "--out", str(shop / "text")]
    assert bptt(["train", str(shop / "book.txt"), *text]) == 0
    ahead = "".join(f"{shop},2020-04-{day},,{day % 3}\n" for shop, day in [("a", 29), ("a", 30), ("b", 14)])
    rows = shop.joinpath("sales.csv").read_text()
    shop.joinpath("ahead.csv").write_text(rows + ahead + "b,2020-04-15,,2\n")
    return shop


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_training_says_the_error_beside_the_naive_one(shop: Path, tmp_path: Path, capsys: Capture) -> None:
    more = ["--covariates=price", "--out", str(tmp_path / "run")]
    assert bptt(["train", str(shop / "sales.csv"), *TRAIN, *more]) == 0
    said = capsys.readouterr().out
    assert "2 series in steps of 1 day" in said
    assert said.count("naive mae") == 4  # at steps 7, 14, 21 and the end
    assert f"bptt forecast {tmp_path / 'run'}" in said
    assert "cold windows" not in said


def test_what_a_season_may_be_is_said(tmp_path: Path, capsys: Capture) -> None:
    rows = "".join(f"20{k // 12:02}-{k % 12 + 1:02},{k % 12}\n" for k in range(60))
    (tmp_path / "a.csv").write_text("month,sold\n" + rows)
    asked = ["--task=forecast", "--time=month", "--value=sold", "--hidden=4", "--horizon=12", "--steps=1"]
    for season in ((), ("--season=12",)):
        out = ["--out", str(tmp_path / f"run{len(season)}")]
        assert bptt(["train", str(tmp_path / "a.csv"), *asked, *season, *out]) == 0
        assert ("often --season 12" in capsys.readouterr().out) == (not season)


def test_a_forecast_is_a_table(shop: Path, tmp_path: Path, capsys: Capture) -> None:
    assert bptt(["forecast", str(shop / "run"), str(shop / "ahead.csv"), "--horizon=2"]) == 0
    shown = capsys.readouterr().out
    rows = rows_of(shown)
    assert [(row["shop"], row["day"]) for row in rows] == [
        ("a", "2020-04-29"),
        ("a", "2020-04-30"),
        ("b", "2020-04-14"),
        ("b", "2020-04-15"),
    ]
    assert set(rows[0]) == {"shop", "day", "forecast"}
    assert all(np.isfinite(float(row["forecast"])) for row in rows)
    out = tmp_path / "out.csv"
    more = ["--horizon=2", "--out", str(out)]
    assert bptt(["forecast", str(shop / "run"), str(shop / "ahead.csv"), *more]) == 0
    assert out.read_text() == shown


def test_what_is_known_ahead_changes_a_forecast(shop: Path, tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "other.csv"
    other.write_text(shop.joinpath("ahead.csv").read_text().replace("a,2020-04-29,,2", "a,2020-04-29,,9"))
    shown = []
    for path in (shop / "ahead.csv", other):
        assert bptt(["forecast", str(shop / "run"), str(path), "--horizon=2"]) == 0
        shown.append(rows_of(capsys.readouterr().out))
    changed = [one != two for one, two in zip(*shown, strict=True)]
    assert changed == [True, True, False, False]


@pytest.mark.parametrize("end", ["csv", "tsv", "jsonl", "json", "parquet", "feather", "tsv.xz"])
def test_quantiles_rise_and_are_columns_in_each_form(shop: Path, tmp_path: Path, end: str) -> None:
    if end in ("parquet", "feather"):
        pytest.importorskip("pyarrow")
    out = tmp_path / f"out.{end}"
    assert bptt(["forecast", str(shop / "quantiles"), "--out", str(out)]) == 0
    begins = {"json": b"[", "jsonl": b"{", "parquet": b"PAR1", "feather": b"ARROW1"}
    assert out.read_bytes().startswith(begins.get(end, b""))
    found = read_table(out)
    assert list(found.columns) == ["shop", "day", "forecast_0.1", "forecast_0.5", "forecast_0.9"]
    low, middle, high = (found.numbers(name) for name in list(found.columns)[2:])
    assert len(low) == 2 * 5
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert found.column("shop") == ["a"] * 5 + ["b"] * 5


def test_large_and_small_numbers_are_written_out(tmp_path: Path, capsys: Capture) -> None:
    y = sold(0, 60)
    tmp_path.joinpath("sales.csv").write_text(
        table({"large": (1e9 * y).round(), "small": (1e-6 * y).round(12)})
    )
    out = str(tmp_path / "run")
    assert bptt(["train", str(tmp_path / "sales.csv"), *TRAIN, "--out", out]) == 0
    capsys.readouterr()
    assert bptt(["forecast", out]) == 0
    values = [row["forecast"] for row in rows_of(capsys.readouterr().out)]
    assert all("e" not in value for value in values)
    assert 1e10 < float(values[0]) < 1e12
    assert 1e-5 < float(values[-1]) < 1e-3
    assert len(values[-1].lstrip("0.")) >= 5


@pytest.mark.parametrize("form", ["svg", "png"])
def test_a_forecast_is_drawn(shop: Path, tmp_path: Path, form: str) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / f"out.{form}"
    assert bptt(["forecast", str(shop / "quantiles"), "--plot", str(out)]) == 0
    drawn = out.read_bytes()
    assert (b"<svg" in drawn) if form == "svg" else drawn.startswith(b"\x89PNG")


def test_eval_backtests_beside_the_naive_forecast(shop: Path, capsys: Capture) -> None:
    assert bptt(["eval", str(shop / "run")]) == 0
    shown = capsys.readouterr().out
    assert "sales.csv: 25 windows, " in shown
    for name in ("MAE", "RMSE", "MASE", "seasonal naive"):
        assert name in shown
    assert bptt(["eval", str(shop / "quantiles"), "--json", "--since", "2020-04-20"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["windows"] == 5
    assert {"mae", "naive_mae", "quantile_loss", "naive_quantile_loss", "coverage", "step"} < set(found)
    assert [*map(len, found["by_step"].values())] == [5, 5]


def test_the_windows_of_a_backtest_are_a_table(shop: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "windows.csv.gz"
    assert bptt(["eval", str(shop / "run"), "--since", "2020-04-20", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith(f"all windows, a row for each step: {out}\n")
    assert "MAE at step 5" in shown
    found = read_table(out)
    assert [*found.columns] == ["shop", "origin", "step", "day", "actual", "forecast", "seasonal_naive"]
    assert found.columns["step"][:6] == ["1", "2", "3", "4", "5", "1"]
    assert found.columns["day"][0] == "2020-04-20"
    assert bptt(["eval", str(shop / "run"), "--out", str(tmp_path / "x.xlsx")]) == 2
    assert "--out must end in .csv" in capsys.readouterr().err


WRONG = {
    "no such column": (
        ["train", "SALES", *TRAIN, "--value=gold"],
        "no column 'gold'; it has shop, day",
    ),
    "no value": (["train", "SALES", "--task=forecast"], "--task forecast wants --value COLUMN"),
    "a text's setting": (["train", "SALES", *TRAIN, "--tokens=word"], "--tokens has no meaning for series"),
    "one series of two": (
        ["train", "SALES", "--task=forecast", "--time=day", "--value=sold"],
        "2020-01-30 stands twice, first in line 2: leave one out; where there are several series, --series",
    ),
    "no prices ahead": (
        ["forecast", "RUN"],
        "series 'a' has no row for 2020-04-29: a forecast of 5 steps",
    ),
    "an end of a picture": (["forecast", "RUN", "--plot=x.gif"], "--plot must end in .svg or .png"),
    "an end of a table": (["forecast", "QUANTILES", "--out=x.xlsx"], "--out must end in .csv, .tsv, .jsonl"),
    "an archive": (["forecast", "QUANTILES", "--out=x.csv.zip"], "--out is no archive: what ends in .gz"),
    "writing": (["sample", "RUN"], "a model of series, and writes no text: bptt forecast DIR"),
    "telling labels": (["predict", "RUN", "SALES"], "tells no labels: bptt forecast tells how they go on"),
    "over its input": (["forecast", "QUANTILES", "--out=SALES"], "sales.csv is what is read"),
    "a long season": (
        ["train", "SALES", "--task=forecast", "--value=sold", "--time=day", "--series=shop", "--season=5000"],
        "--season 5,000 is longer than all series: at most",
    ),
    "no folder": (["forecast", "QUANTILES", "--out=/no/such/out.csv"], "there is no folder /no/such"),
    "a model of text": (["forecast", "TEXT"], "holds a model of one long text: it forecasts no series"),
    "since of text": (["eval", "TEXT", "--since=2020"], "--since is for series"),
    "no time": (["eval", "RUN", "--since=soon"], "'soon' is no time"),
    "other times": (["eval", "RUN", "--since=7"], "its times are not written as 7"),
    "nothing later": (
        ["eval", "RUN", "--since=2022-01-01"],
        "no 5 steps are there to be forecast at 2022",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_series_is_one_line(
    shop: Path, tmp_path: Path, name: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, says = WRONG[name]
    names = {"SALES": "sales.csv", "RUN": "run", "QUANTILES": "quantiles", "TEXT": "text"}
    for word, file in names.items():
        arguments = [argument.replace(word, str(shop / file)) for argument in arguments]
    before = contents(shop)
    monkeypatch.chdir(tmp_path)
    assert bptt(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert says in told.err
    assert told.err.count("\n") == 1
    assert contents(shop) == before
    assert not list(tmp_path.iterdir())
