"""``bptt forecast``: how series go on, as a table and a picture."""

from pathlib import Path

import click

from bptt.cli.output import encoding_option, expect_free, expect_place, shown_or_file, table_end


@click.command()
@click.argument("folder", metavar="DIR")
@click.argument("path", metavar="[FILE]", required=False)
@click.option("--horizon", type=int, metavar="H", help="Steps to forecast; otherwise those of the training.")
@click.option(
    "--out", metavar="FILE", callback=shown_or_file, help="Where to write the table; otherwise it is shown."
)
@click.option("--plot", metavar="FILE", help="Draw the series and how they go on: .svg or .png.")
@encoding_option
@click.option("--last", is_flag=True, help="Take the last checkpoint, not the best.")
def forecast(
    folder: str,
    path: str | None,
    horizon: int | None,
    out: str | None,
    plot: str | None,
    encoding: str | None,
    last: bool,
) -> None:
    """Forecast the series of FILE with the model trained in DIR; without FILE those that it was trained on.

    FILE has the columns that the model was trained on, and may have other series. The table that is written
    has a row for each step of each series: series, time, and the forecast or its quantiles; with --out by
    the end of its name as CSV, .tsv, .jsonl or .parquet. What is known ahead of time, --covariates, is read
    from rows of FILE without a value. More steps than the model was trained for are forecast in turn, from
    forecasts.
    """
    from bptt.cli.plot import FORMS, drawn, expect_matplotlib
    from bptt.data.text.packed import packed
    from bptt.files import write_atomically
    from bptt.training.forecasting import Forecaster

    if plot is not None:
        expect_place("--plot", plot, *FORMS)
        expect_matplotlib()
    forecaster = Forecaster.load(folder, "last" if last else "best", encoding=encoding)
    source = path or forecaster.trained.settings.data
    end = "" if out is None else table_end(out, source)
    for option, file in (("--out", out), ("--plot", plot)):
        if file is None:
            continue
        expect_place(option, file)
        expect_free(option, file, folder, source, forecaster.trained.settings.data)
    found = forecaster.forecast(path, horizon)
    if out is not None:
        write_atomically(Path(out), packed(found.written(end), out))
        click.echo(f"{len(found.values):,} series, {found.values.shape[1]:,} steps of each: {out}")
    else:
        click.echo(found.written().decode(), nl=False)
    if plot is not None:
        write_atomically(Path(plot), drawn(found, forecaster.trained.settings.window, Path(plot).suffix[1:]))
        click.echo(f"drawn in {plot}", err=out is None)
