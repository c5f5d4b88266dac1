"""A gradient flow as a picture: a panel for each pair of states, a line for each path.

Drawn with matplotlib, without a display. The SVG has its colours for light pages and for dark ones.
"""

import html
import io
import re
import textwrap
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from bptt.errors import ConfigError
from bptt.flow.connections import DIRECT, ELEMENTWISE, PRODUCTS, Path
from bptt.flow.labels import place
from bptt.flow.measure import Flow
from bptt.flow.report import cancellation, finding, meaning
from bptt.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOWEST, HIGHEST = 1e-4, 3.0
"""What a panel shows at least, relative to where the gradient begins."""

# as they are on a light page, and on a dark one; the hues are those of Okabe and Ito (2008)
PAPER, INK, FAINT = "#ffffff", "#1b1b1b", "#8a8a8a"
BLACK, BLUE, VERMILION, GREEN = "#1c1c1c", "#0072b2", "#d55e00", "#00916a"
DARK = {
    PAPER: "#14171a",
    INK: "#e8e8e8",
    FAINT: "#8b9197",
    BLACK: "#ededed",
    BLUE: "#56b4e9",
    VERMILION: "#ff8b3d",
    GREEN: "#2fc79a",
}

PLAIN: dict[str, Any] = {"parse_math": False}  # a $ in a name is a $

FONT = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # matplotlib brings it
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "svg.fonttype": "none",  # letters stay letters
    "svg.hashsalt": "bptt",  # the same flow, the same bytes
    "mathtext.fontset": "dejavusans",
}


def expect_matplotlib() -> None:
    """Raise a ConfigError unless matplotlib is installed."""
    if find_spec("matplotlib") is None:
        raise ConfigError("pictures want matplotlib: pip install 'bptt[plot]' (the table needs none)")


def draw(flow: Flow, format: str) -> bytes:
    """Return the picture of a flow.

    Parameters
    ----------
    flow : Flow
    format : "svg" or "png"

    Raises
    ------
    ConfigError
        If matplotlib is not installed.
    """
    expect_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font lacks: an SVG's reader may have them
        matplotlib.rcdefaults()  # the same picture whatever the user's own settings are
        matplotlib.rcParams.update(FONT)
        figure = Figure(facecolor=PAPER, dpi=72)  # a dot is a point
        _fill(figure, flow)
        out = io.BytesIO()
        if format == "svg":
            figure.savefig(out, format="svg", metadata={"Date": None})
            return _finished(out.getvalue().decode(), finding(flow))
        figure.savefig(out, format=format, dpi=200)
        return out.getvalue()


def _fill(figure: "Figure", flow: Flow) -> None:
    """Draw the panels, their title above and what was measured below."""
    count = max(1, len(flow.pairs))
    across = min(count, 3)
    down = -(-count // across)
    width, height = 1.2 + 3.6 * max(across, 2), 3.1 * down
    title = textwrap.wrap(finding(flow), int(width * 9))
    cancels = cancellation(flow)
    note = textwrap.wrap(
        f"{flow.where[:1].upper()}{flow.where[1:]}. Vertical: the root mean square over units and positions, "
        "that is the Jacobian's Frobenius norm / √H, relative to where it begins. Along a path all other "
        f"connections between steps are cut. {_legend(flow)}. Beside a name: the last k at which the line is "
        f"above 1%.{f' {cancels[:1].upper()}{cancels[1:]}.' if cancels else ''}",
        int(width * 16),
    )
    above, below = 0.55 + 0.21 * len(title), 0.62 + 0.16 * len(note)
    total = above + height + below
    figure.set_size_inches(width, total)
    grid = figure.add_gridspec(
        down,
        across,
        left=0.75 / width,
        right=1 - 0.3 / width,
        top=1 - above / total,
        bottom=below / total,
        wspace=0.24,
        hspace=0.45,
    )
    figure.text(0.2 / width, 1 - 0.15 / total, "\n".join(title), va="top", size=12, weight="bold", **PLAIN)
    figure.text(0.2 / width, 0.1 / total, "\n".join(note), va="bottom", size=8, **PLAIN)
    for k, pair in enumerate(flow.pairs):
        axes = figure.add_subplot(grid[k // across, k % across])
        _panel(axes, flow, *pair)


def _panel(axes: "Axes", flow: Flow, to: str, of: str) -> None:
    """Draw the gradient from one state to another along all paths."""
    from matplotlib.textpath import TextPath

    first = flow.first(to, of) or 0
    k = np.arange(first, flow.lags + 1)
    drawn = [p for p in flow.paths if _style(flow, p) and flow.has(p, to, of)]
    gains = [flow.relative(path, to, of)[first:] for path in drawn]
    highest = max(HIGHEST, *(3 * gain.max(initial=0, where=np.isfinite(gain)) for gain in gains), 0)
    axes.set_xscale("symlog", linthresh=1, linscale=0.35)
    axes.set_yscale("log")
    axes.set_xlim(0, flow.lags)
    axes.set_ylim(LOWEST, highest)
    tens = [10**n for n in range(len(str(flow.lags)))]
    ticks = [m * ten for ten in tens for m in ((1, 2, 5) if len(tens) < 4 else (1,)) if m * ten <= flow.lags]
    axes.set_xticks([0, *ticks], ["0", *map(str, ticks)])
    apart = 1 + int(np.log10(highest / LOWEST)) // 8
    decades = [n for n in range(-4, int(np.log10(highest)) + 1) if n % apart == 0]
    axes.set_yticks([10.0**n for n in decades], [_power(n) for n in decades])
    axes.minorticks_off()
    axes.tick_params(length=3, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_facecolor("none")
    axes.axhline(0.01, color=FAINT, lw=0.8, ls=(0, (2, 2)), zorder=1)
    axes.set_title(_symbol(to, of), loc="left", size=11, pad=8)
    axes.set_xlabel("k, steps back", size=9)

    lines, texts, colours = [], [], []
    dots: list[tuple[float, float] | None] = []
    for path, gain in zip(drawn, gains, strict=True):
        style = _style(flow, path)
        ends = np.isfinite(gain)
        shown = np.maximum(gain, LOWEST / 10)  # a zero is below the panel, and the line goes there
        axes.plot(
            k[ends], shown[ends], **style, solid_capstyle="round", marker="." if ends.sum() == 1 else ""
        )
        lag = flow.lag(path, to, of)
        lag = None if lag == flow.lags else lag  # above 1% to the end
        dots.append(None)
        if lag is not None:
            axes.plot([lag], [gain[lag - first]], "o", ms=3.5, color=style["color"], zorder=4)
            x, y = axes.transData.transform((lag, gain[lag - first]))
            dots[-1] = (float(x), float(y))
        lines.append(_on_page(axes, k[ends], shown[ends]))
        name = short(path.name.removeprefix("gate "), 24)
        texts.append(f"{name} {lag}" if lag is not None else name)
        colours.append(style["color"])

    at_one = _on_page(axes, np.array([0, flow.lags]), np.array([0.01, 0.01]))
    left, bottom, right, top = (float(n) for n in axes.get_window_extent().extents)
    room = (left + 2, bottom + 2, right, top)
    sizes = [(float(TextPath((0, 0), text, size=8).get_extents().x1), 8.0) for text in texts]
    for text, colour, corner in zip(texts, colours, place([*lines, at_one], sizes, room, dots), strict=True):
        if corner is not None:
            axes.annotate(
                text, corner, xycoords="figure points", color=colour, size=8, va="bottom", zorder=5, **PLAIN
            )


def _on_page(axes: "Axes", k: Array, gain: Array) -> Array:
    """Return a line of the axes densely as points on the page, (P, 2)."""
    points = axes.transData.transform(np.column_stack([k, gain]))
    if not len(points):
        return points
    steps = np.linspace(0, len(points) - 1, max(len(points), min(12 * len(points) - 11, 2000)))
    return np.column_stack([np.interp(steps, np.arange(len(points)), points[:, axis]) for axis in (0, 1)])


def _legend(flow: Flow) -> str:
    """Return what the lines are, in words."""
    said = meaning(flow)
    gates = [path.name.removeprefix("gate ") for path in flow.paths if path.name.startswith("gate ")]
    lines = [f"{name}: {said[name]}" for name in (flow.whole.name, ELEMENTWISE, PRODUCTS) if name in said]
    if gates:
        each = "these gates' products, each alone" if len(gates) > 1 else "this gate's product alone"
        lines.append(f"{' / '.join(gates)}: {each}, at every step")
    return ". ".join(lines)


def _power(n: int) -> str:
    """Return 10 to the n in percent, in a few letters."""
    if n <= 2:
        return f"{10.0 ** (n + 2):,.10g}%"
    return f"10{str(n + 2).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}%"


def short(name: str, most: int) -> str:
    """Return a name, its middle left out where it is longer than a picture has room for."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most // 2 - 1) :]}"


def _symbol(to: str, of: str) -> str:
    to, of = (re.sub(r"[^\w…]", "?", short(name, 14)).replace("_", r"\_") for name in (to, of))
    to, of = rf"\mathit{{{to}}}", rf"\mathit{{{of}}}"
    return rf"$\partial {to}_{{t}}\,/\,\partial {of}_{{t-k}}$"


def _style(flow: Flow, path: Path) -> dict[str, Any]:
    """Return how a path is drawn; nothing for those that the table alone has."""
    if path is flow.whole:
        return {"color": BLACK, "lw": 2.4, "zorder": 3}
    if path.name == ELEMENTWISE:
        return {"color": BLUE, "lw": 2.4, "zorder": 3}
    if path.name == PRODUCTS:
        return {"color": VERMILION, "lw": 2.0, "zorder": 3}
    return {} if DIRECT in path.connections else {"color": GREEN, "lw": 1.0, "zorder": 2}


def _finished(svg: str, title: str) -> bytes:
    """Return what matplotlib drew with a title, rules for dark pages, and no attribute `style`.

    A page's policy may forbid such attributes, and forbids no fill="#1b1b1b". A reader that knows no rules
    shows the light colours.
    """
    svg = re.sub(r' style="([^"]*)"', lambda found: _attributes(found[1]), svg)
    every = "*{stroke-linejoin: round; stroke-linecap: butt}"
    rules = "".join(
        f'[{what}="{light}"]{{{what}:{dark}}}' for light, dark in DARK.items() for what in ("fill", "stroke")
    )
    style = f"<style>{every}@media (prefers-color-scheme: dark){{{rules}}}</style>"
    svg = svg.replace(f'<style type="text/css">{every}</style>', "")
    return svg.replace("<defs>", f"<title>{html.escape(title)}</title>\n {style}\n <defs>", 1).encode()


def _attributes(style: str) -> str:
    """Return what an SVG's attribute `style` says as attributes of their own."""
    said = dict(part.split(": ", 1) for part in style.split("; "))
    if "font" in said:  # all in one, as some versions of matplotlib write it
        found = re.fullmatch(r"(oblique |italic )?(.*?)([\d.]+px) (.*)", said.pop("font"))
        names = ("font-style", "font-weight", "font-size", "font-family")
        said |= {n: v.strip() for n, v in zip(names, found.groups() if found else (), strict=False) if v}
    return "".join(f' {name}="{value}"' for name, value in said.items())
