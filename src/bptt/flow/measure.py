"""What the gradient's flow is measured by, and the measuring, in one layer."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from bptt.cells import Cell, States
from bptt.errors import ConfigError
from bptt.flow.connections import (
    EVERYTHING,
    Path,
    paths_of,
    probe,
    products,
    products_of,
    steps_of,
)
from bptt.layer import threads
from bptt.layer.mapped import made
from bptt.shown import Shown
from bptt.types import Array, Params
from bptt.zoo import get

FLOOR = 1e-12
"""A gain below is none: it is the rounding where parts cancel."""

LEAST, MOST = 1e-60, 1e100
"""A path whose gain is outside is followed no further: zero, or infinity, from there on."""

MOST_NUMBERS = 1 << 16
"""Numbers in the Jacobians that a thread works on: half a megabyte, which stays in a core's cache."""


MOST_PRODUCTS, MOST_LINES, MOST_SQUARES = 1 << 35, 1 << 25, 1 << 26
"""What a measure may take: products of numbers, and lines of a cell's backward pass that are run, each some
minutes; and numbers of its result, half a gigabyte."""


@dataclass(frozen=True, eq=False, repr=False)
class Flow(Shown, html="bptt.flow.page:body", text="bptt.flow.report:text"):
    """How much of a gradient at a state arrives at a state k steps before.

    Attributes
    ----------
    cell : str
    states : tuple of str
        The cell's, the output first.
    squares : dict of (K+1, N, S, S) arrays
        For each path ‖J_k‖_F² / H: by lag, position, state at t, state at t-k.
    where : str
        What was measured, in words.
    """

    cell: str
    states: tuple[str, ...]
    squares: dict[Path, Array]
    where: str = ""

    @property
    def paths(self) -> list[Path]:
        """The cell's paths, everything first."""
        return list(self.squares)

    @property
    def whole(self) -> Path:
        """The path of everything."""
        return self.paths[0]

    @property
    def lags(self) -> int:
        """K, how many steps back it goes."""
        return len(self.squares[self.whole]) - 1

    @property
    def positions(self) -> int:
        """N, how many positions are averaged."""
        return int(self.squares[self.whole].shape[1])

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The states at t and at t-k that are reported: the output by each, and each by itself.

        Those that do not depend on each other are left out.
        """
        pairs = [(self.states[0], s) for s in self.states] + [(s, s) for s in self.states[1:]]
        return [pair for k, pair in enumerate(pairs) if k == 0 or self.first(*pair) is not None]

    def path(self, name: str) -> Path:
        """Return the path of that name.

        Raises
        ------
        ConfigError
            If there is none.
        """
        return _named(self.cell, self.paths, name)

    def gain(self, path: Path, to: str = "h", of: str = "h") -> Array:
        """Return the gain from `to` at t to `of` at t-k along a path, (K+1,)."""
        squares = self.squares[path][:, :, self.states.index(to), self.states.index(of)]
        with np.errstate(over="ignore"):
            gain: Array = np.sqrt(squares.mean(axis=1))
        gain[gain < FLOOR] = 0
        gain[np.isnan(gain)] = np.inf  # the difference of what has grown beyond all bounds
        return gain

    def has(self, path: Path, to: str = "h", of: str = "h") -> bool:
        """Return whether a path leads from `to` back to `of` at all."""
        return bool(self.gain(path, to, of)[1:].any())

    def first(self, to: str, of: str) -> int | None:
        """Return the first lag at which `to` depends on `of`: 0 of itself; None if it never does."""
        gain = self.gain(self.whole, to, of)
        return int(np.argmax(gain > 0)) if gain[1:].any() else None

    def relative(self, path: Path, to: str = "h", of: str = "h") -> Array:
        """Return the gain divided by that of everything where it begins (see `first`), (K+1,).

        For a state by itself that is the gain, which begins with 1.
        """
        first = self.first(to, of)
        start = 1.0 if first is None else self.gain(self.whole, to, of)[first]
        gain = self.gain(path, to, of)
        relative: Array = np.divide(gain, start, out=gain.copy(), where=np.isfinite(gain))
        return relative

    def lag(self, path: Path, to: str = "h", of: str = "h", above: float = 0.01) -> int | None:
        """Return the last lag at which the gradient is at least 1% of where it begins; None if it never is.

        The last, for a gradient that oscillates goes through zero and comes back. Where it is the last lag
        measured, the gradient may be above beyond.
        """
        lags = np.flatnonzero(self.relative(path, to, of) >= above)
        return int(lags[-1]) if len(lags) else None


def through_time(
    cell: Cell | str,
    params: Params,
    x: Array,
    states: States | None = None,
    *,
    start: Array | None = None,
    where: str = "",
) -> Flow:
    """Measure the gradient's way back through a sequence, from its last step to before its first.

    Parameters
    ----------
    cell : Cell, or its name
    params : dict of arrays
        Of one layer, as :func:`bptt.unroll` has them.
    x : (T, N, D) array, or (T, N) integers
        The N rows are the positions that are averaged; lags go to K = T.
    states : tuple of (N, H), optional
        Before the first step. Default: zeros.
    start : (N, M, H), optional
        The gradients at t that are followed for each row, of norm 1. Default: the unit vectors, all H, by
        which the measure is exact; fewer are a sample of it, such as random signs / √H.
    where : str
        What is measured, in words, for those who read it.

    Returns
    -------
    Flow

    Raises
    ------
    DivergedError
        If the cell's states, or their derivatives, do not stay finite.

    Examples
    --------
    >>> import numpy as np, bptt.flow
    >>> rng = np.random.default_rng(0)
    >>> H = 8
    >>> layer = {"W": rng.normal(size=(3, 4 * H)), "U": rng.normal(size=(H, 4 * H)) / 3}
    >>> flow = bptt.flow.through_time("lstm", layer, rng.normal(size=(20, 5, 3)))
    >>> [path.name for path in flow.paths][:4]
    ['everything', 'direct', 'every gate', 'gate i']
    >>> flow.gain(flow.path("direct"), "c", "c")[:4].round(3)
    array([1.   , 0.523, 0.362, 0.188])
    >>> flow.lag(flow.path("direct"), "c", "c"), flow.lag(flow.path("gate i"), "h", "h")
    (6, 1)
    """
    observed, params = _plain(get(cell), _double(params))
    U, N = params["U"], x.shape[1]
    with threads.one_blas_thread():
        steps = steps_of(observed, params, x, states)
        T, S = len(steps), len(observed.states)
        followed = np.broadcast_to(np.eye(len(U)), (N, len(U), len(U))) if start is None else start
        squares = {path: np.zeros((T + 1, N, S, S)) for path in paths_of(observed)}

        @np.errstate(over="ignore", invalid="ignore")  # a thread has its own
        def follow(rows: slice) -> None:
            some = [step.rows(rows) for step in steps]
            for path, square in squares.items():
                square[0, rows] = np.eye(S)
                for k, J in enumerate(products(observed, some, U, path, followed[rows]), 1):
                    for state, part in J.items():
                        square[k, rows, :, observed.states.index(state)] = _squares(part, S)
                    largest = square[k, rows].max()
                    if not LEAST**2 <= largest <= MOST**2:
                        there = (square[1 : k + 1, rows] != 0).any(axis=(0, 1))  # pairs that are no zero
                        square[k:, rows] = 0 if largest < 1 else np.where(there, np.inf, 0)
                        break

        with ThreadPoolExecutor(threads.count()) as pool:
            list(pool.map(follow, threads.cuts(N, followed.size * S * S // MOST_NUMBERS)))
    return Flow(observed.name, observed.states, squares, where)


def expect_affordable(cell: Cell, H: int, M: int, lags: int, positions: int, times: int) -> None:
    """Raise a ConfigError where the measure of a layer takes more than minutes, before it begins.

    M gradients are followed from each of the positions, which are measured in `times` parts.
    """
    S, derivation = len(cell.states), getattr(cell, "derivation", None)
    paths, lines = paths_of(cell), len(derivation.step.backward) if derivation else 1
    numbers = lags * positions * S
    for count, most in (
        (numbers * M * H * products_of(probe(cell), paths), MOST_PRODUCTS),
        (lags * times * S * lines, MOST_LINES),
        (numbers * S * len(paths), MOST_SQUARES),
    ):
        if count > most:
            raise ConfigError(
                f"{cell.name}: the flow between {S} states along {len(paths)} paths, {lags:,} steps back "
                f"from {positions:,} positions, takes {count / most:.2g} times what a measure may: ask for "
                "fewer lags, or fewer positions"
            )


def jacobians(
    cell: Cell | str, params: Params, x: Array, states: States | None = None, path: str = EVERYTHING
) -> Array:
    """Return the Jacobians themselves along a path, J_0 to J_T, at the last step of x.

    Parameters
    ----------
    cell, params, x, states
        As for `through_time`.
    path : str
        A path's name.

    Returns
    -------
    (T+1, N, S, H, S, H)
        By lag, row, state and unit at the last step, state and unit k steps before.

    Raises
    ------
    ConfigError, DivergedError
        If the cell has no such path; if its states, or their derivatives, do not stay finite.

    Examples
    --------
    >>> import numpy as np, bptt.flow
    >>> layer = {"W": np.ones((1, 2)), "U": np.array([[0.5, 0.0], [0.25, 0.5]])}
    >>> J = bptt.flow.jacobians("rnn", layer, np.zeros((3, 1, 1)))
    >>> J.shape
    (4, 1, 1, 2, 1, 2)
    >>> J[1, 0, 0, :, 0, :]
    array([[0.5 , 0.25],
           [0.  , 0.5 ]])
    """
    cell, params = _plain(get(cell), _double(params))
    steps = steps_of(cell, params, x, states)
    T, N, H, S = len(steps), x.shape[1], len(params["U"]), len(cell.states)
    eye = np.broadcast_to(np.eye(H), (N, H, H))
    kept = _named(cell.name, paths_of(cell), path)
    out = np.zeros((T + 1, N, S, H, S, H))
    out[0] = np.eye(S * H).reshape(S, H, S, H)
    for k, J in enumerate(products(cell, steps, params["U"], kept, eye), 1):
        for state, part in J.items():
            out[k, :, :, :, cell.states.index(state)] = part.reshape(N, S, H, H)
    return out


def _named(cell: str, paths: list[Path], name: str) -> Path:
    for path in paths:
        if path.name == name:
            return path
    raise ConfigError(f"{cell}: no path is called {name!r}; there are {', '.join(p.name for p in paths)}")


def _plain(cell: Cell, params: Params) -> tuple[Cell, Params]:
    """Return a cell without maps, and the matrices that they make."""
    return (cell.plain, made(cell, params)) if cell.maps else (cell, params)


def _double(params: Params) -> Params:
    return {name: array.astype(np.float64) for name, array in params.items()}


def _squares(J: Array, S: int) -> Array:
    """Return the mean square norm of the rows of each of the S blocks of J (N, S·M, H): (N, S)."""
    N, rows, H = J.shape
    blocks = J.reshape(N, S, rows // S * H)
    squares: Array = np.einsum("nsk,nsk->ns", blocks, blocks) / (rows // S)
    return squares
