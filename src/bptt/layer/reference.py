"""The reference time loop: any cell, forward and backward through time, in any dtype.

Given the cell's pointwise part, a layer over T steps is::

    forward, t = 0 .. T-1
    (1)  a_t = x_t W + b + h_{t-1} U + b_h        (x W + b for all steps in one product, before the loop)
         of a cell with operands of its own, in turn:  q_t = cell.operand(a_t, states_{t-1});  a_t += q_t U_q
    (2)  states_t, cache_t = cell.forward(a_t, states_{t-1})
    (3)  y_t = h_t

    backward, t = T-1 .. 0
    (3)  dh_t = dy_t + dh_next                    the whole gradient at h_t
    (2)  da_t, dstates_{t-1} = cell.backward(dstates_t, cache_t)
    (1)  dq_t = da_t U_qᵀ, which cell.operand_backward takes further
         dh_{t-1} += da_t Uᵀ
    after the loop, the sums over time, each as one product:
         dW = Σ x_tᵀ da_t      dU = Σ h_{t-1}ᵀ da_t  (q_tᵀ for U_q)      db = Σ da_t      dx_t = da_t Wᵀ

This is the definition of right: whatever is faster must have this contract and pass its tests.

Conventions for what is not always there:

mask
    Where ``mask[t, n]`` is False the step does not exist for row n: its states are held, y is zero, and
    what x and dy hold there has no influence.
    Sequences of different lengths are padded at the end and masked.
reset
    Where ``reset[t, n]`` is True, no state crosses the border between steps t-1 and t, in either
    direction: the states that would cross are replaced by those with which a sequence starts: zeros, or
    where the cell's `starts` say, or ``start.h``, ... of the parameters.
start
    A parameter ``start.h`` (H,) is where the state h starts: at a reset, and before the first step unless
    states are given. Its gradient is the sum over the rows that start there of what comes back.
reverse
    Time runs from T-1 to 0; y keeps its place (``y[t]`` belongs to ``x[t]``).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.cells import Cache, Cell, States
from bptt.layer.columns import Columns
from bptt.layer.shapes import check, dtype_of, expect
from bptt.layer.threads import one_blas_thread
from bptt.shown import Shown
from bptt.types import Array, Gradients, Params


@np.errstate(all="ignore")  # as kernels are silent: what is no number shows itself in the loss
def unroll(
    cell: Cell,
    params: Params,
    x: Array,
    states: States | None = None,
    *,
    mask: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
    seen: list[tuple[Array, States]] | None = None,
) -> "Unrolled":
    """Run a cell through time and keep what its backward needs.

    Parameters
    ----------
    cell : Cell
    params, x, states, mask, reset, reverse
        As :func:`bptt.unroll`, which takes a cell's name, too, has them.
    seen : list, optional
        To it each step's pre-activations (N, G·H) and states are added, in the order of the steps.

    Returns
    -------
    Unrolled
        With ``y`` (T, N, H), the final ``states``, and ``backward``.

    Raises
    ------
    ShapeError
        If an array does not fit the others.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> rng = np.random.default_rng(0)
    >>> T, N, D, H = 5, 2, 3, 4
    >>> params = {"W": rng.normal(size=(D, 4 * H)), "U": rng.normal(size=(H, 4 * H)), "b": np.zeros(4 * H)}
    >>> run = bptt.unroll("lstm", params, rng.normal(size=(T, N, D)))
    >>> run.y.shape, [s.shape for s in run.states]
    ((5, 2, 4), [(2, 4), (2, 4)])
    >>> grads = run.backward(np.ones_like(run.y))
    >>> grads.inputs.shape, grads.params["U"].shape
    ((5, 2, 3), (4, 16))
    """
    T, N, H, x = check(cell, params, x, states, mask, reset)
    dtype = dtype_of(params, x, states)
    first, begins = cell.first_states(N, H, dtype, params), states is None
    states = first if states is None else states
    columns = Columns.of(cell, H)
    keep = None if reset is None else ~reset

    with one_blas_thread():
        a = _preactivations(cell, columns, params, x, dtype)  # (1), the part that needs no loop
        y = np.empty((T, N, cell.width(cell.states[0], H)), dtype)
        # what each product takes, for the gradient at its matrix
        taken = [np.empty((T, N, len(params[p.matrix])), dtype) for p in columns.products]
        caches: list[tuple[Cache, list[Cache]]] = [(None, [])] * T

        for t in reversed(range(T)) if reverse else range(T):
            if keep is not None and not reverse:
                states = _select(keep[t], states, first)
            q_caches: list[Cache] = []
            for k, p in enumerate(columns.products):
                if k == 0:
                    taken[k][t] = states[0]
                else:
                    taken[k][t], q_cache = cell.operand(a[t], states, k - 1)
                    q_caches.append(q_cache)
                p.part.add(a[t], taken[k][t] @ params[p.matrix][:, p.own])  # (1)
            new, cache = cell.forward(a[t], states)  # (2)
            caches[t] = cache, q_caches
            if mask is None:
                states, y[t] = new, new[0]  # (3)
            else:
                states = _select(mask[t], new, states)
                y[t] = _select(mask[t], new[:1])[0]
            if seen is not None:
                seen.append((a[t], states))
            if keep is not None and reverse:
                states = _select(keep[t], states, first)

    return Unrolled(y, states, cell, columns, params, x, taken, caches, mask, keep, reverse, begins)


@dataclass(frozen=True, eq=False, repr=False)
class Unrolled(Shown, text="bptt.layer.shapes:run_text"):
    """A cell run through time.

    Attributes
    ----------
    y : (T, N, H)
        The outputs h_t; zero where the mask is False.
    states : tuple of (N, H)
        The states after the last step (after step 0 if reversed), to be carried on.
    """

    y: Array
    states: States
    _cell: Cell
    _columns: Columns
    _params: Params
    _x: Array
    _taken: list[Array]
    _caches: list[tuple[Cache, list[Cache]]]
    _mask: Array | None
    _keep: Array | None
    _reverse: bool
    _begins: bool

    @np.errstate(all="ignore")
    def backward(
        self, dy: Array | None = None, dstates: States | None = None, *, overwrite: bool = False
    ) -> Gradients[States]:
        """Backpropagate through time.

        Nothing that the forward made is changed: while the parameters are as they were, a second call
        gives the same again. (They are not copied: update them after the backward.)

        Parameters
        ----------
        dy : (T, N, H), optional
            The gradient of the loss at every output. Default: zeros.
        dstates : tuple of (N, H), optional
            The gradient of the loss at the final states, as when a later chunk passes its own back.
            Default: zeros.
        overwrite : bool
            Whether what the forward kept may be lost. The reference never does that.

        Returns
        -------
        Gradients

        Raises
        ------
        ShapeError
            If a cotangent's shape is not that of its output.
        """
        cell, params = self._cell, self._params
        mask, keep, reverse = self._mask, self._keep, self._reverse
        T, N = self.y.shape[:2]
        H = cell.hidden(params)
        expect(cell, dy, dstates, self.y, self.states)
        if dstates is None:
            dstates = tuple(np.zeros_like(s) for s in self.states)
        width = sum(at.stop - at.start for at in cell.columns(H).values())
        starts = {k: s for k, s in enumerate(cell.states) if f"start.{s}" in params}

        with one_blas_thread():
            dtype = np.result_type(self.y, *dstates, *(() if dy is None else (dy,)))
            da = np.empty((T, N, width), dtype)
            dstart = {f"start.{s}": np.zeros(self.states[k].shape[1:], dtype) for k, s in starts.items()}

            def cut(dstates: States, crosses: Array) -> States:
                """Give the starts what comes back to a reset; the rest goes on."""
                for k, s in starts.items():
                    dstart[f"start.{s}"] += dstates[k].sum(axis=0, where=~crosses[:, None])
                return _select(crosses, dstates)

            for t in range(T) if reverse else reversed(range(T)):
                if keep is not None and reverse:
                    dstates = cut(dstates, keep[t])
                held = None
                if mask is not None:
                    held = _select(~mask[t], dstates)
                    dstates = _select(mask[t], dstates)
                if dy is not None:
                    dy_t = dy[t] if mask is None else _select(mask[t], (dy[t],))[0]
                    dstates = (dstates[0] + dy_t, *dstates[1:])  # (3)
                da[t], dprev = self.step_backward(t, dstates)
                dstates = dprev if held is None else _add(dprev, held)
                if keep is not None and not reverse:
                    dstates = cut(dstates, keep[t])

            if self._begins:
                cut(dstates, np.zeros(N, bool))
            grads, dx = self._sums(da)
            return Gradients(grads | dstart, dx, dstates)

    def step_backward(self, t: int, dstates: States) -> tuple[Array, States]:
        """Return the gradients at step t's pre-activations and at the states before it, from those after.

        Those after it are whole: the loss's own at h_t is among them. Where the run has one row there may
        be any number of rows of gradients, each by itself.
        """
        cell, columns, (cache, q_caches) = self._cell, self._columns, self._caches[t]
        da, dprev = cell.backward(dstates, cache)  # (2)
        for k, p in reversed(tuple(enumerate(columns.products))):
            dq = p.part.take(da) @ self._params[p.matrix][:, p.own].T  # (1)
            through = cell.operand_backward(dq, q_caches[k - 1], da, k - 1) if k else (dq,)
            dprev = _add(dprev, through)
        return da, dprev

    def direct_backward(self, t: int, dstates: States) -> States:
        """Return what of `step_backward` comes to the states before step t through no matrix."""
        return self._cell.backward(dstates, self._caches[t][0])[1]

    def input_backward(self, da: Array) -> Array:
        """Return the gradient at a step's input (N, D) from that at its pre-activations."""
        cell = self._cell
        dx: Array = self._columns.W.take(da) @ self._params["W"].T
        if "x" in cell.inputs:  # the equations read it, too
            dx += da[..., cell.unit_columns(cell.hidden(self._params))["x"]]
        return dx

    def _sums(self, da: Array) -> tuple[Params, Array | None]:
        """Return dW, dU, db (and db_h), the sums over time, and dx."""
        columns, x, W = self._columns, self._x, self._params["W"]
        cell, H = self._cell, self._cell.hidden(self._params)
        da_x = rows(columns.W.take(da))
        if x.ndim == 2:
            dW, dx = scatter_add(x, da_x, len(W)), None
        else:
            dW, dx = rows(x).T @ da_x, self.input_backward(rows(da)).reshape(x.shape)
        grads = {"W": dW}
        for p, taken in zip(columns.products, self._taken, strict=True):
            parts = [grads[p.matrix]] if p.matrix in grads else []
            grads[p.matrix] = np.concatenate([*parts, rows(taken).T @ rows(p.part.take(da))], axis=-1)
        if "b" in self._params:
            grads["b"] = da_x.sum(axis=0)
        if "b_h" in self._params:
            grads["b_h"] = rows(columns.U.take(da)).sum(axis=0)
        for name, at in cell.unit_columns(H).items():
            if name not in cell.given:
                grads[name] = cell.unit_sum(name, rows(da[..., at]))
            elif name != "x" and name in cell.inputs:
                grads[name] = da[..., at].reshape(self._params[name].shape)
        return grads, dx


def scatter_add(rows: Array, values: Array, count: int) -> Array:
    """Return, for each of `count` rows, the sum of the values that belong to it.

    The transpose of gathering rows, and so the gradient at an embedding, without a one-hot product.

    Parameters
    ----------
    rows : integers of any shape, M of them in all
    values : (M, K)
    count : int

    Returns
    -------
    (count, K)

    Examples
    --------
    >>> scatter_add(np.array([2, 0, 2]), np.array([[1.0], [5.0], [10.0]]), 3)
    array([[ 5.],
           [ 0.],
           [11.]])
    """
    flat = rows.ravel()
    order = np.argsort(flat, kind="stable")
    present, starts = np.unique(flat[order], return_index=True)
    ordered, ends = values[order], np.append(starts, len(flat))[1:]
    out = np.zeros((count, values.shape[1]), values.dtype)
    for row, start, end in zip(present, starts, ends, strict=True):
        np.add.reduce(ordered[start:end], axis=0, out=out[row])
    return out


def _preactivations(cell: Cell, columns: Columns, params: Params, x: Array, dtype: np.dtype[Any]) -> Array:
    """Return x W + b, b_h, and the units' own parameters, for all steps: (T, N, G·H)."""
    W = params["W"]
    ax = W[x] if x.ndim == 2 else (rows(x) @ W).reshape(*x.shape[:2], W.shape[1])
    ax = ax.astype(dtype, copy=False)
    if "b" in params:
        ax += params["b"]
    H = cell.hidden(params)
    if columns.W.is_all:
        a = ax
    else:
        a = np.zeros((*x.shape[:2], sum(cell.width(gate, H) for gate in cell.gates)), dtype)
        columns.W.add(a, ax)
    if "b_h" in params:
        columns.U.add(a, params["b_h"])
    for name, at in cell.unit_columns(H).items():
        is_x = name == "x" and name in cell.inputs
        own = (np.eye(len(W))[x] if x.ndim == 2 else x) if is_x else params[name]
        a[..., at] = own[..., None] if own.ndim == 2 else own
    return a


def rows(a: Array) -> Array:
    """Return (T, N, ·) as (T·N, ·)."""
    return a.reshape(a.shape[0] * a.shape[1], a.shape[2])  # no -1: there may be no columns


def _select(where: Array, new: States, old: States | None = None) -> States:
    """Return each state's rows from `new` where True, and from `old` (default zeros) where False."""
    rows = where[:, None]
    if old is None:
        return tuple(np.where(rows, s, s.dtype.type(0)) for s in new)
    return tuple(np.where(rows, s, before) for s, before in zip(new, old, strict=True))


def _add(these: States, those: States) -> States:
    return tuple(a + b for a, b in zip(these, those, strict=False)) + these[len(those) :]
