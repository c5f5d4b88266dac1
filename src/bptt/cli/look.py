"""``bptt look``: what a trained network remembers, as a page."""

from typing import Any

import click

from bptt.cli.output import expect_free, expect_place, misused


@click.command()
@click.argument("folder", metavar="DIR")
@click.argument("path", metavar="[TEXT]", required=False)
@click.option("--out", metavar="FILE", default="look.html", show_default=True, help="The page.")
@click.option("--against", metavar="DIR2", help="Another run, seen beside it on the same steps.")
@click.option("--layer", "layers", type=int, multiple=True, help="A layer, from 0; otherwise all.")
@click.option("--steps", type=int, default=1000, show_default=True, help="The most steps of the text.")
@click.option(
    "--lags", type=int, default=100, show_default=True, help="How many steps to follow gradients back."
)
@click.option(
    "--property",
    "own",
    multiple=True,
    metavar="NAME=REGEX",
    help="What units may follow, too: true inside the matches.",
)
@click.option("--last", is_flag=True, help="Take the last checkpoint, not the best.")
def look(
    folder: str,
    path: str | None,
    out: str,
    against: str | None,
    last: bool,
    layers: tuple[int, ...],
    own: tuple[str, ...],
    **how: Any,
) -> int:
    """Show what the network trained in DIR does on its validation text, or on TEXT, in one HTML file.

    The text coloured by any unit's state or gate; units by time, ordered by what they remember and follow;
    for each token how far the gradient of its loss reaches, along each path; and what part of that training
    in chunks never saw. TEXT is a text, a list or a table as the model reads them; - is standard input.
    """
    from bptt.looking import look
    from bptt.training.trained import Trained

    expect_place("--out", out, ".html", ".htm")
    properties = {}
    for told in own:
        name, equals, pattern = told.partition("=")
        if not (name and equals and pattern):
            raise misused(f"--property wants NAME=REGEX, got {told!r:.60}")
        properties[name] = pattern
    runs = [Trained.load(one, "last" if last else "best") for one in (folder, against) if one is not None]
    for run in runs:
        expect_free("--out", out, run.source, path, run.settings.data)
    seen = look(
        runs[0],
        path=path,
        against=runs[1] if against is not None else None,
        layers=layers or None,
        properties=properties,
        **how,
    )
    seen.save(out)
    for one in seen.runs:
        steps = len(one.tokens)
        on = f"{steps:,} step{'s' * (steps != 1)} of {one.about['corpus']}"
        click.echo(f"{one.name}: {one.about['cell']}, {one.about['units']} units, on {on}")
        for layer in one.layers:
            click.echo(f"  {layer.name}: {_found(one, layer)}")
    click.echo(f"shown in {out}")
    return 0


def _found(run: Any, layer: Any) -> str:
    """Return what stands out in a layer: the unit that remembers longest, and who follows what."""
    import numpy as np

    said = []
    direct = [name for name, by in layer.remembers_by.items() if by == "direct"]
    for name in direct[:1] or [*layer.remembers][:1]:
        steps = layer.remembers[name]
        most, n = "at least " * bool(steps.max() >= layer.remembers_most), round(float(steps.max()))
        said.append(f"{name}[{int(steps.argmax())}] remembers longest, {most}{n} step{'s' * (n != 1)}")
    if len(run.properties):
        best = np.unravel_index(np.abs(layer.follows).argmax(), layer.follows.shape)
        r, (k, unit) = layer.follows[best], map(int, best)
        if r:
            said.append(f"{layer.follows_of}[{unit}] follows {run.properties[k].name!r} most, r = {r:.2f}")
    return "; ".join(said)
