"""A bench as text."""

from collections.abc import Callable, Mapping, Sequence

from bptt.bench import CONTENDERS, Bench, CellBench, Place
from bptt.bench.contenders import LAYER_KINDS
from bptt.bench.rounds import ROUNDS, Times
from bptt.bench.settings import Setting
from bptt.bench.together import Shared

Cell = str
Show = Callable[[Place, str, Times], Cell]
"""A contender's entry at a place."""


def text(bench: Bench) -> str:
    """Return the tables and their notes."""
    parts = [_head(bench), _steps(bench), _limit(bench), _memory(bench), _lengths(bench), _sampling(bench)]
    parts.append("\n".join(f"left out or in doubt: {note}" for note in bench.notes))
    return "\n\n".join(part for part in parts if part)


def layers(benches: Sequence[Bench]) -> str:
    """Return the tables of layers alone, a cell each, and their notes."""
    return "\n\n".join([_head(benches[0]), *(_layers(bench) for bench in benches)])


def cells(bench: CellBench) -> str:
    """Return the table of cells side by side, the fastest first."""
    s = bench.setting
    title = f"one layer, forward and backward, ms, median of {ROUNDS} turns: "
    title += f"setting {s.name}, D {s.E}, H {s.H}, N {s.N}, T {s.T}"
    lines = [f"{'':24}{'parameters':>11}{'ms':>9}{'limit':>9}{'reached':>9}  runs on"]
    for e in sorted(bench.entries, key=lambda e: e.times.seconds if e.times else float("inf")):
        ms = "-" if e.times is None else _short(e.times.seconds * 1e3)
        limit = "" if bench.peak is None else _short(e.multiply_adds / bench.peak * 1e3)
        share = bench.share(e)
        reached = "" if share is None else f"{share:.0%}"
        on = "kernel" if e.reference is None else f"reference: {e.reference}"
        lines.append(f"{e.cell:24}{e.parameters:>11,}{ms:>9}{limit:>9}{reached:>9}  {on}")
    notes = [f"left out or in doubt: {note}" for note in bench.notes]
    about = (
        "limit: the products with W and U at the speed of large matrices' on all threads; what a cell does\n"
        "element by element comes on top"
    )
    return "\n".join([_machine(bench.machine), "", title, *lines, "", about, *notes])


def _layers(bench: Bench) -> str:
    title = f"{bench.cell}: layers alone, ms, median of {ROUNDS} turns"
    if bench.baseline:
        title += f"; × against {CONTENDERS[bench.baseline].title}"
    names = [
        n for n in bench.contenders if any(n in found for p in bench.places for found in p.found.values())
    ]
    head = f"{'':{_LEFT - 27}}{'D':>6}{'H':>6}{'L':>3}{'N':>5}{'T':>5}  "
    lines = [title, head + "".join(f"{CONTENDERS[name].title:>{_WIDTH}}" for name in names)]
    for kind in LAYER_KINDS:
        show = _milliseconds(bench, kind)
        for place in bench.places:
            found, s = place.found.get(kind), place.setting
            if found:
                row = f"{kind:{_LEFT - 29}}{s.name:2}{s.E:>6}{s.H:>6}{s.layers:>3}{s.N:>5}{s.T:>5}  "
                lines.append(
                    row
                    + "".join(f"{show(place, n, found[n]) if n in found else '-':>{_WIDTH}}" for n in names)
                )
    notes = [f"left out or in doubt: {note}" for note in bench.notes]
    return "\n".join([*lines, *notes])


def _head(bench: Bench) -> str:
    return _machine(bench.machine)


def _machine(m: Mapping[str, str]) -> str:
    versions = ", ".join(f"{name} {m[name]}" for name in ("bptt", "numpy", "torch", "jax") if name in m)
    return f"{m['processor']}, {m['threads']} threads; {versions}"


def _steps(bench: Bench) -> str:
    def more(place: Place) -> Cell:
        limit, share = bench.limit(place), bench.share(place, "bptt")
        text = f"{'' if limit is None else _short(limit * 1e3):>8}"
        alone = bench.share(place, "bptt", "layers")
        return text + "".join(f"{'' if s is None else f'{s:.0%}':>9}" for s in (share, alone))

    title = (
        f"{bench.cell}: a training step (forward, cross-entropy, all gradients), ms, median of {ROUNDS} turns"
    )
    if bench.baseline:
        title += f"; × against {CONTENDERS[bench.baseline].title}"
    table = _table(bench, "step", title, _milliseconds(bench, "step"), more, "   limit  reached   layers")
    if table and bench.baseline and len(bench.places) > 1:
        means = [_times(bench.mean(name)) for name in _present(bench, "step")]
        table += f"\n{'geometric mean':{_LEFT}}" + "".join(f"{mean:>{_WIDTH}}" for mean in means)
    return table


def _milliseconds(bench: Bench, kind: str) -> Show:
    def show(place: Place, name: str, times: Times) -> Cell:
        return f"{_short(times.seconds * 1e3)} {_times(place.ratio(kind, name, bench.baseline)):>6}"

    return show


def _limit(bench: Bench) -> str:
    if bench.peak is None:
        return ""
    speeds = ", ".join(f"{name} {2e-9 * speed:,.0f}" for name, speed in bench.products.items())
    return (
        "limit: the products that a step cannot do without, at the speed of the faster float32\n"
        f"product of large matrices on all threads, GFLOP/s: {speeds}\n"
        "reached: bptt's share of that speed; layers: the same of its layers alone, forward and backward"
    )


def _memory(bench: Bench) -> str:
    def show(place: Place, name: str, times: Times) -> Cell:
        return "-" if times.memory is None else f"{times.memory / 1e6:,.1f}"

    return _table(bench, "step", "most memory held in a training step, MB, without the libraries' own", show)


def _lengths(bench: Bench) -> str:
    title = "sequences of unequal length, uniform from T/4 to T, ms (PyTorch's are packed)"
    table = _table(bench, "lengths", title, _milliseconds(bench, "lengths"))
    for place in bench.places:
        ours, equal = (place.found.get(kind, {}).get("bptt") for kind in ("lengths", "step"))
        if ours and equal:
            tokens, real = place.setting.N * place.setting.T, int(place.setting.row_lengths().sum())
            ratio = (ours.seconds / real) / (equal.seconds / tokens)
            table += f"\n{place.setting.name}: for each real token bptt takes {ratio:.2f} times as long"
            table += " as with equal lengths"
    return table


def _sampling(bench: Bench) -> str:
    def show(place: Place, name: str, times: Times) -> Cell:
        return f"{1 / times.seconds:,.0f} {_times(place.ratio('sampling', name, bench.baseline)):>6}"

    return _table(bench, "sampling", "writing, one sequence, tokens a second", show)


_WIDTH = 15
"""Columns of a figure."""

_LEFT = 44
"""Columns of a place, before its figures."""


def _table(
    bench: Bench,
    kind: str,
    title: str,
    show: Show,
    more: Callable[[Place], Cell] | None = None,
    also: str = "",
) -> str:
    """Return a row for each place where the kind was measured, a column for each contender."""
    names = _present(bench, kind)
    if not names:
        return ""
    head = f"{'':8}{'V':>7}{'E':>6}{'H':>6}{'L':>3}{'N':>5}{'T':>5}    "
    lines = [title, head + "".join(f"{CONTENDERS[name].title:>{_WIDTH}}" for name in names) + also]
    for place in bench.places:
        found = place.found.get(kind)
        if not found:
            continue
        s = place.setting
        row = f"{s.name:8}{s.V:>7,}{s.E:>6}{s.H:>6}{s.layers:>3}{s.N:>5}{s.T:>5}    "
        row += "".join(f"{show(place, n, found[n]) if n in found else '-':>{_WIDTH}}" for n in names)
        lines.append(row + (more(place) if more else ""))
    return "\n".join(lines)


def _present(bench: Bench, kind: str) -> Sequence[str]:
    return [n for n in bench.contenders if any(n in p.found.get(kind, {}) for p in bench.places)]


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:#.3g}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"×{ratio:.0f}" if ratio >= 100 else f"×{ratio:.2f}"


def shared(machine: Mapping[str, str], setting: Setting, cell: str, found: Sequence[Shared]) -> str:
    """Return the table of a step that workers share."""
    s, tokens = setting, setting.N * setting.T
    title = (
        f"{cell}, a training step that workers share, setting {s.name}: E {s.E}, H {s.H}, layers {s.layers}, "
    )
    lines = [f"{title}N {s.N}, T {s.T}, V {s.V}; ms, median"]
    lines.append(
        f"{'':8}{'workers':>8}{'shards':>8}{'ms':>9}{'exchange':>10}{'MB sent':>9}{'tokens/s':>11}{'×':>7}"
    )
    for f in found:
        whole = next(g.seconds for g in found if g.contender == f.contender)
        counted = f"{f.exchange * 1e3:>10.2f}{f.sent / 1e6:>9.2f}" if f.sent else f"{'':19}"
        lines.append(
            f"{f.contender:8}{f.workers:>8}{f.shards:>8}{f.seconds * 1e3:>9.2f}{counted}"
            f"{tokens / f.seconds:>11,.0f}{whole / f.seconds:>7.2f}"
        )
    ours = [f for f in found if f.contender == "bptt" and f.shards > 1]
    one, most = ours[0], ours[-1]
    if most.sent:
        bits = "one result" if len({f.digest for f in ours}) == 1 else "OTHER RESULTS"
        waits = ", ".join(f"{8 * most.sent / 1e6 / gbit:.1f} ms at {gbit} Gbit/s" for gbit in (1, 10, 100))
        lines += ["", f"bptt: {bits} of {' and '.join(str(f.workers) for f in ours)} workers"]
        lines.append(
            f"{most.workers} machines: {one.seconds * 1e3 / most.workers:.1f} ms to compute; to send {waits}"
        )
    lines.append(
        "exchange: of the first worker, with its waiting for others; of torch it is within the backward"
    )
    return "\n".join([_machine(machine), "", *lines])
