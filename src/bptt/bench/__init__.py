"""What this machine does: our training step, and layers, beside the peers that are installed.

The room is read in this order: :mod:`~bptt.bench.settings` (sizes, and the arithmetic they ask for),
:mod:`~bptt.bench.contenders` (who), :mod:`~bptt.bench.ours`, :mod:`~bptt.bench.with_torch` and
:mod:`~bptt.bench.with_jax` (how each takes the step), :mod:`~bptt.bench.with_layers` (how each runs a layer),
:mod:`~bptt.bench.cells` (cells side by side), :mod:`~bptt.bench.together` (workers that share a step),
:mod:`~bptt.bench.worker` (in a process of its own), :mod:`~bptt.bench.rounds` (in turn), and
:mod:`~bptt.bench.report`.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bptt import __version__
from bptt.bench.cells import CellBench, known, measured
from bptt.bench.contenders import CONTENDERS, KINDS, LAYER_KINDS, PRODUCTS, Contender
from bptt.bench.rounds import Say, Times, measure
from bptt.bench.settings import LAYER_SETTINGS, SETTINGS, Setting
from bptt.errors import ConfigError
from bptt.layer import threads
from bptt.zoo import get
from bptt.zoo.papers import EVERY

__all__ = [
    "CONTENDERS",
    "LAYER_SETTINGS",
    "SETTINGS",
    "Bench",
    "CellBench",
    "Place",
    "Setting",
    "bench",
    "bench_cells",
    "bench_layers",
]

Named = TypeVar("Named")

SQUARE = 2048
"""Rows of the matrices whose product is the limit."""

UNSTEADY = 1.5
"""How far a contender's turns may differ before its figures are in doubt."""

LAYER_CELLS = ("lstm", "gru", "rnn", "slstm")
"""Whose layers are measured, if nobody says."""

BASELINE = ("torch", "torch.nn", "reference")
"""Whom ratios are against: the first that was measured."""


@dataclass
class Place:
    """What was measured at a setting: by the kind of work and the contender's name."""

    setting: Setting
    multiply_adds: dict[str, int]
    found: dict[str, dict[str, Times]] = field(default_factory=dict)

    def ratio(self, kind: str, name: str, baseline: str | None) -> float | None:
        """Return how many times as fast as the baseline a contender is."""
        times = self.found.get(kind, {})
        if name not in times or baseline not in times:
            return None
        return times[baseline].seconds / times[name].seconds


@dataclass
class Bench:
    """The result.

    Attributes
    ----------
    cell : str
    seconds : float
        For each contender at each kind of work.
    machine : dict of str
    contenders : tuple of str
        Those that were measured.
    products : dict of float
        Multiply-adds a second in products of large float32 matrices.
    places : list of Place
    notes : list of str
        What was left out, and why; and where contenders do not compute the same.
    """

    cell: str
    seconds: float
    machine: dict[str, str]
    contenders: tuple[str, ...]
    products: dict[str, float] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def peak(self) -> float | None:
        """The machine's limit, in multiply-adds a second."""
        return max(self.products.values(), default=None)

    @property
    def baseline(self) -> str | None:
        """Whom ratios are against."""
        return next((name for name in BASELINE if name in self.contenders), None)

    def mean(self, name: str) -> float | None:
        """Return the geometric mean of a contender's ratios over the settings of its training steps."""
        ratios = [p.ratio("step", name, self.baseline) for p in self.places]
        known = [r for r in ratios if r is not None]
        return float(np.exp(np.mean(np.log(known)))) if known else None

    def limit(self, place: Place, kind: str = "step") -> float | None:
        """Return the seconds that the arithmetic of a step, or its layers, takes at the machine's limit."""
        return None if self.peak is None else place.multiply_adds[kind] / self.peak

    def share(self, place: Place, name: str, kind: str = "step") -> float | None:
        """Return which part of the machine's limit a contender's training step, or its layers, reach."""
        limit, times = self.limit(place, kind), place.found.get(kind, {})
        return None if limit is None or name not in times else limit / times[name].seconds

    def to_json(self) -> dict[str, Any]:
        """Return all of it; times in seconds, memory in bytes."""
        return {
            "cell": self.cell,
            "seconds": self.seconds,
            "machine": self.machine,
            "contenders": list(self.contenders),
            "baseline": self.baseline,
            "multiply_adds_per_second": self.products,
            "settings": [self._place(place) for place in self.places],
            "mean_ratio": {name: self.mean(name) for name in self.contenders},
            "notes": self.notes,
        }

    def _place(self, place: Place) -> dict[str, Any]:
        shown = asdict(place.setting) | {
            "multiply_adds": place.multiply_adds,
            "limit_seconds": self.limit(place),
            "tokens": {"step": place.setting.N * place.setting.T},
        }
        if place.setting.lengths:
            shown["tokens"]["lengths"] = int(place.setting.row_lengths().sum())
        for kind, times in place.found.items():
            shown[kind] = {
                name: asdict(t) | {"ratio": place.ratio(kind, name, self.baseline)}
                for name, t in times.items()
            }
        for kind in {"step", "layers"} & place.found.keys():
            for name, figures in shown[kind].items():
                figures["share_of_limit"] = self.share(place, name, kind)
        return shown


def bench(
    settings: Sequence[str | Setting] = (),
    cell: str = "lstm",
    contenders: Sequence[str] = (),
    seconds: float = 5.0,
    say: Say = lambda text: None,
    *,
    layers: bool = False,
) -> Bench:
    """Measure a training step here: ours, and that of the peers that are installed.

    Parameters
    ----------
    settings : sequence of str or Setting
        Names in `SETTINGS`, or in `LAYER_SETTINGS`; by default all of them.
    cell : str
        As :func:`bptt.zoo.get` takes it.
    contenders : sequence of str
        Names in `CONTENDERS`; by default those that are measured by default. Those that are not installed
        are left out, with a note.
    seconds : float
        To measure each contender at each kind of work, at least; getting ready comes on top.
    say : function, optional
        Is told what is being done.
    layers : bool
        Measure no step but layers alone: those of :mod:`bptt.torch`, and PyTorch's own.

    Returns
    -------
    Bench

    Raises
    ------
    ConfigError
        If there is no such setting, contender or cell, or what the contenders need is not installed.

    Examples
    --------
    >>> bench(["H"])
    Traceback (most recent call last):
    ...
    bptt.errors.ConfigError: setting must be one of A, B, C, D, E, F, G; got 'H'
    """
    kinds, places = (LAYER_KINDS, LAYER_SETTINGS) if layers else (KINDS, SETTINGS)
    chosen = [
        s if isinstance(s, Setting) else _named("setting must be one of", places, s)
        for s in settings or places
    ]
    meant = get(cell)
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"seconds must be above 0 and finite, got {seconds}")
    known = {name: c for name, c in CONTENDERS.items() if set(kinds) & set(c.kinds)}
    names = dict.fromkeys(contenders or [name for name, c in known.items() if c.by_default])
    asked = [_named("contenders must be among", known, name) for name in names]
    here = [c for c in asked if c.is_here]
    if not here:
        missing = " and ".join(dict.fromkeys(c.needs for c in asked))
        raise ConfigError(f"{missing} is not installed, and nothing else was to be measured: pip install it")
    result = Bench(cell, seconds, machine(here), tuple(c.name for c in here))
    result.notes += [f"{c.title}: {c.needs} is not installed" for c in asked if not c.is_here]
    if not layers:
        result.products, notes = _products(seconds, say)
        result.notes += notes
    for setting in chosen:
        whole, alone = setting.multiply_adds(meant), setting.multiply_adds(meant, layers_alone=True)
        place = Place(setting, {} if layers else {"step": whole, "layers": alone})
        result.places.append(place)
        for kind in kinds:
            if setting.has(kind):
                able = [c for c in here if kind in c.kinds]
                place.found[kind], failed = measure(kind, setting, cell, able, seconds, say)
                notes = [f"{setting.name}, {kind}, {CONTENDERS[n].title}: {why}" for n, why in failed.items()]
                result.notes += notes + _differences(setting, kind, place.found[kind])
                result.notes += _unsteady(setting, kind, place.found[kind])
    return result


def bench_layers(
    settings: Sequence[str | Setting] = (),
    cells: Sequence[str] = (),
    contenders: Sequence[str] = (),
    seconds: float = 5.0,
    say: Say = lambda text: None,
) -> list[Bench]:
    """Measure layers alone, cell by cell: those of :mod:`bptt.torch`, and PyTorch's own.

    The parameters are those of `bench`, but that there may be several cells, by default `LAYER_CELLS`.
    """
    for cell in cells:
        get(cell)  # none is measured before all are found
    found = []
    for cell in cells or LAYER_CELLS:

        def say_of(text: str, cell: str = cell) -> None:
            say(f"{cell}, {text}")

        found.append(bench(settings, cell, contenders, seconds, say_of, layers=True))
    return found


def bench_cells(
    setting: str | Setting = "B",
    cells: Sequence[str] = (),
    seconds: float = 1.0,
    say: Say = lambda text: None,
) -> CellBench:
    """Measure a layer of each cell at one setting, forward and backward, over inputs of size E.

    Parameters
    ----------
    setting : str or Setting
        A name in `SETTINGS`, of which one layer is measured.
    cells : sequence of str
        As :func:`bptt.zoo.get` takes them; by default all that bptt has.
    seconds : float
        For each cell, at least.
    say : function, optional
        Is told what is being done.

    Returns
    -------
    CellBench

    Raises
    ------
    ConfigError
        If there is no such setting or cell.
    """
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"seconds must be above 0 and finite, got {seconds}")
    chosen = setting if isinstance(setting, Setting) else _named("setting must be one of", SETTINGS, setting)
    entries, unfit = known(cells or EVERY, chosen)  # none is measured before all are found
    products, notes = _products(seconds, say)
    found = CellBench(chosen, seconds, machine(), max(products.values(), default=None), notes=notes + unfit)
    return measured(found, entries, say)


def _products(seconds: float, say: Say) -> tuple[dict[str, float], list[str]]:
    """Return multiply-adds a second in products of large matrices, and why there are none."""
    square = Setting("limit", V=1, E=1, H=SQUARE, layers=1, N=1, T=1)
    found, failed = measure("product", square, "lstm", list(PRODUCTS.values()), seconds, say)
    notes = [f"a product by {PRODUCTS[n].title}: {why}" for n, why in failed.items()]
    return {PRODUCTS[n].title: SQUARE**3 / t.seconds for n, t in found.items()}, notes


def machine(contenders: Sequence[Contender] = ()) -> dict[str, str]:
    """Return what this machine is, and the versions of what is measured."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    found = {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "threads": str(threads.count()), "cores": str(os.cpu_count()),
        "bptt": __version__,  # of what runs, which need not be what was installed
    }  # fmt: skip
    for package in dict.fromkeys(["numpy", *(c.needs for c in contenders)]):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from its source
            found[package] = "not installed"
    return found


def _named(what: str, known: Mapping[str, Named], name: str) -> Named:
    if name not in known:
        raise ConfigError(f"{what} {', '.join(known)}; got {name!r}")
    return known[name]


def _differences(setting: Setting, kind: str, found: dict[str, Times]) -> list[str]:
    """Return a note for each contender whose first gradient is not what it should be."""
    known = {name: t.gradient for name, t in found.items() if t.gradient is not None}
    exact = [norm for name, norm in known.items() if "bf16" not in name] or list(known.values())
    right = known.get("reference", known.get("torch.nn", float(np.median(exact)) if exact else 0.0))
    where = "output" if kind.endswith("forward") else "gradient at the input"
    return [
        f"{setting.name}, {kind}: {CONTENDERS[name].title} does not compute the same: its {where} "
        f"has norm {norm:.6g}, where {right:.6g} belongs"
        for name, norm in known.items()
        if not abs(norm - right) <= (0.05 if "bf16" in name else 1e-3) * right
    ]


def _unsteady(setting: Setting, kind: str, found: dict[str, Times]) -> list[str]:
    """Return a note of the contenders whose turns differ much."""
    factors = {name: t.high / t.low for name, t in found.items() if t.high > UNSTEADY * t.low}
    shown = ", ".join(f"{CONTENDERS[name].title} by a factor of {f:.1f}" for name, f in factors.items())
    why = "something else was running"
    return [f"{setting.name}, {kind}: turns differ, so {why}: {shown}"] if factors else []
