"""``bptt flow``: along which path, and how far, a trained model's gradient goes back through time."""

from pathlib import Path
from typing import Any

import click

from bptt.cli.output import expect_free, expect_place, to_json


@click.command()
@click.argument("folder", metavar="DIR")
@click.argument("path", metavar="[TEXT]", required=False)
@click.option("--out", metavar="FILE", help="Draw it: .svg, .png, or .html with the table.")
@click.option("--layer", type=int, metavar="L", help="The layer, from 0; otherwise the last.")
@click.option("--reverse", is_flag=True, help="The direction that reads from the end, where there are two.")
@click.option("--lags", type=int, default=100, show_default=True, help="How many steps to go back.")
@click.option("--positions", type=int, default=256, show_default=True, help="Positions to average over.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws the positions.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option("--last", is_flag=True, help="Take the last checkpoint, not the best.")
def flow(
    folder: str, path: str | None, out: str | None, seed: int, as_json: bool, last: bool, **how: Any
) -> int:
    """Measure how the gradient of the model trained in DIR flows back in its validation text, or in TEXT.

    Printed is, for each path through a step (elementwise, or by a gate's weight matrix), the last number
    of steps at which the gradient is above 1%. In a stack: within one layer, the others' states held.
    """
    import numpy as np

    from bptt.files import write_atomically
    from bptt.flow import of_text, report
    from bptt.flow.chart import expect_matplotlib
    from bptt.flow.page import FORMS
    from bptt.flow.positions import ids_of
    from bptt.training.trained import Trained

    suffix = "" if out is None else Path(out).suffix.lower()
    if out is not None:
        expect_place("--out", out, *FORMS)
        expect_matplotlib()
    trained = Trained.load(folder, "last" if last else "best")
    if out is not None:
        expect_free("--out", out, folder, path, trained.settings.data)
    text, ids = ids_of(trained, path)
    rng = np.random.default_rng(seed)
    flow = of_text(trained.model, trained.params, ids, rng=rng, text=text, **how)
    if out is not None:
        write_atomically(Path(out), FORMS[suffix](flow))
    if as_json:
        click.echo(to_json({"step": trained.step, "seed": seed, **report.to_json(flow)}))
    else:
        click.echo(report.text(flow))
        if out is not None:
            click.echo(f"\ndrawn in {out}")
    return 0
