"""Which backend runs a cell: the reference time loop, or a kernel compiled for this processor.

``"reference"`` is :mod:`bptt.layer.reference`. ``"cpu"`` is the kernel, or an error that says why there is
none. ``"auto"`` is the kernel for float32 where there is one, and the reference otherwise: float64 is what
one checks with, and there the definition of right is asked for.

Precision is that of the products. ``"float32"`` is the parameters' own, float32 or float64. ``"bfloat16"``
rounds both operands of every product to bfloat16 (8 bits of precision) and sums in float32; parameters,
states and everything pointwise stay float32. Only kernels do that, on processors that have such products.
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from bptt.cells import Cell, States
from bptt.errors import ConfigError
from bptt.kernels.runtime.tape import recording
from bptt.layer.mapped import MappedRun, made
from bptt.layer.reference import Unrolled
from bptt.layer.reference import scatter_add as scatter_rows
from bptt.layer.reference import unroll as reference
from bptt.layer.shapes import at_each_step, check, dtype_of
from bptt.types import Array, Dtype, Params
from bptt.zoo import equations_of, get

if TYPE_CHECKING:
    from bptt.kernels.cell.compiled import Compiled
    from bptt.kernels.cell.planned import PlannedRun
    from bptt.kernels.cell.unrolled import KernelRun

Backend: TypeAlias = Literal["auto", "reference", "cpu"]
Precision: TypeAlias = Literal["float32", "bfloat16"]
LayerRun: TypeAlias = "Unrolled | KernelRun | PlannedRun | MappedRun"
"""A layer run through time: ``y``, ``states``, ``backward``."""

DTYPES = ("float32", "float64")
BACKENDS: tuple[Backend, ...] = ("auto", "reference", "cpu")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def reason_against(cell: Cell, dtype: np.dtype[Any]) -> str | None:
    """Return why no kernel can run a cell, or None where one can."""
    if dtype.name not in DTYPES or not dtype.isnative:
        return f"kernels are for float32 and float64, not {dtype}"
    if equations_of(cell) is None:
        return f"the cell {cell.name} is written by hand and has no equations to make a kernel from"
    return None


def unroll(
    cell: Cell | str,
    params: Params,
    x: Array,
    states: States | None = None,
    *,
    mask: Array | None = None,
    reset: Array | None = None,
    reverse: bool = False,
    inputs: Mapping[str, Array] | None = None,
    backend: Backend = "auto",
    precision: Precision = "float32",
) -> "LayerRun":
    """Run a cell through time and keep what its backward needs.

    Parameters
    ----------
    cell : Cell, or what :func:`bptt.zoo.get` takes
        G gates; W feeds Gx of them and U feeds Gh (for most cells G = Gx = Gh).
    params : dict of arrays
        ``"W"`` (D, Gx·H), ``"U"`` (H, Gh·H), and if wanted the biases ``"b"`` (Gx·H,) of the input part
        and ``"b_h"`` (Gh·H,) of the recurrent part; by their names, those that each unit of the cell has for
        itself, (H,); ``"start.h"`` (H,) where the state h starts, of any state; and where a matrix has a map
        what it is made of, as ``"U.a_h.M"``, for its columns. Any of float32, float64, complex128. Of values
        over axes, H is what `cell.width` says, and an operand of another width than the output's has a matrix
        of its own, ``"U_q"``.
    x : (T, N, D) array, or (T, N) integers
        Integers choose rows of W: the product with their one-hot vectors, without the product.
    states : tuple of (N, H), optional
        The states before the first step, in the order of ``cell.states``. Default: where they start, zeros
        if nothing else is said.
    mask : (T, N) bool, optional
        Where False the step does not exist for its row: its states are held, y is zero.
    reset : (T, N) bool, optional
        Where True no state crosses the border between steps t-1 and t: what would cross starts anew.
    reverse : bool
        Whether time runs from T-1 to 0; y keeps its place.
    inputs : dict of arrays, optional
        What the cell reads at each step beside x, by name: (T, N, H), or (T, N) where it is one number for a
        row, or the same for all units, at each of which there is then a gradient. Real numbers become the
        layer's dtype. The gradients at them are beside those at the parameters.
    backend : "auto", "reference" or "cpu"
        The NumPy loop (reference), or machine code compiled for this processor (cpu; an error where there
        can be none). auto: the latter where all arrays are float32 and there is a kernel.
    precision : "float32" or "bfloat16"
        Of the products. float32: as the arrays are. bfloat16: operands rounded, sums in float32; for float32
        arrays on a processor with AVX512-BF16.

    Returns
    -------
    Unrolled or KernelRun
        With ``y`` (T, N, H), the final ``states``, and ``backward``.

    Raises
    ------
    ShapeError
        If an array does not fit the others.
    ConfigError
        If there is no such backend, or a kernel is asked for where there can be none.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> rng = np.random.default_rng(0)
    >>> T, N, D, H = 5, 2, 3, 4
    >>> params = {"W": rng.normal(size=(D, 4 * H)), "U": rng.normal(size=(H, 4 * H)), "b": np.zeros(4 * H)}
    >>> x = rng.normal(size=(T, N, D))
    >>> fast, right = (bptt.unroll("lstm", params, x, backend=b) for b in ("cpu", "reference"))
    >>> bool(np.allclose(fast.y, right.y, rtol=0, atol=1e-14))
    True
    """
    cell = get(cell)
    if cell.maps:
        run = unroll(
            cell.plain, made(cell, params), x, states, inputs=inputs,
            mask=mask, reset=reset, reverse=reverse, backend=backend, precision=precision,
        )  # fmt: skip
        return MappedRun(cell, params, run)
    if inputs:
        padded = mask if recording.tape is None else None  # what a program is given has no padding
        params = params | at_each_step(cell, params, x, states, inputs, padded)
    dtype = dtype_of(params, x, states)
    compiled = kernel(backend, cell, dtype, precision)
    if compiled is None:
        return reference(cell, params, x, states, mask=mask, reset=reset, reverse=reverse)
    from bptt.kernels.cell import unrolled

    if recording.tape is None:  # else arrays of these shapes have come this way before
        *_, x = check(cell, params, x, states, mask, reset)
    return unrolled.unroll(compiled, params, x, states, dtype, mask=mask, reset=reset, reverse=reverse)


def matmul(a: Array, b: Array, backend: Backend = "auto", precision: Precision = "float32") -> Array:
    """Return the product of `a` (M, K) and `b` (K, N), by the backend's own code."""
    is_narrow = precision == "bfloat16"
    if is_narrow:
        _expect_bfloat16(backend, np.result_type(a, b))
    if is_narrow or (a.dtype == b.dtype and uses_kernels(backend, a.dtype)):
        from bptt.kernels.ops import products

        return products.matmul(a, b, bfloat16=is_narrow)
    product: Array = a @ b
    return product


def scatter_add(tokens: Array, values: Array, count: int, backend: Backend = "auto") -> Array:
    """Return for each of `count` tokens the sum of its rows of `values`, by the backend's own code."""
    if uses_kernels(backend, values.dtype):
        from bptt.kernels.ops import sums

        return sums.scatter_add(tokens, values, count)
    return scatter_rows(tokens, values, count)


def gather(table: Array, tokens: Array, backend: Backend = "auto") -> Array:
    """Return the rows of a table (V, E) that tokens choose, (..., E), by the backend's own code."""
    if uses_kernels(backend, table.dtype):
        from bptt.kernels.ops import rows

        return rows.take(table, tokens)
    return table[tokens]


def filled(shape: tuple[int, ...], value: float, dtype: Dtype, backend: Backend = "auto") -> Array:
    """Return an array of one number, by the backend's own code."""
    if uses_kernels(backend, np.dtype(dtype)):
        from bptt.kernels.ops import rows

        return rows.filled(shape, value, dtype)
    return np.full(shape, value, dtype)


def add(a: Array, b: Array, backend: Backend = "auto") -> Array:
    """Return a + b of arrays of one shape, by the backend's own code."""
    if a.dtype == b.dtype and uses_kernels(backend, a.dtype):
        from bptt.kernels.ops import rows

        return rows.add(a, b)
    total: Array = a + b
    return total


def multiply(a: Array, b: Array, backend: Backend = "auto") -> Array:
    """Return a b, element by element; b has a's shape, or is 1 long on its first or last axis."""
    if a.dtype == b.dtype and uses_kernels(backend, a.dtype):
        from bptt.kernels.ops import rows

        return rows.multiply(a, b)
    product: Array = a * b
    return product


def repeated(array: Array, count: int, backend: Backend = "auto") -> Array:
    """Return (1, N, H) so many times, (T, N, H), by the backend's own code."""
    shape = (count, *array.shape[1:])
    if not uses_kernels(backend, array.dtype):
        return np.broadcast_to(array, shape)
    from bptt.kernels.ops import rows

    return rows.copy(np.broadcast_to(array.reshape(1, -1), (count, array.size))).reshape(shape)


def sum_of_steps(array: Array, backend: Backend = "auto") -> Array:
    """Return the sum over the first axis of (T, N, H), (1, N, H), by the backend's own code."""
    if not uses_kernels(backend, array.dtype):
        total: Array = array.sum(axis=0, keepdims=True)
        return total
    from bptt.kernels.ops import sums

    return sums.column_sums(array.reshape(len(array), -1)).reshape(1, *array.shape[1:])


def side_by_side(arrays: Sequence[Array], backend: Backend = "auto") -> Array:
    """Return arrays (T, N, H) side by side, (T, N, 2H) if they are two, by the backend's own code."""
    first, *others = arrays
    if not others:
        return first
    if not uses_kernels(backend, first.dtype):
        return np.concatenate(arrays, axis=-1)
    from bptt.kernels.ops import rows
    from bptt.kernels.runtime import memory

    H = first.shape[-1]
    out = memory.empty((*first.shape[:-1], len(arrays) * H), first.dtype)
    for k, array in enumerate(arrays):
        rows.copy(array, out[..., k * H : (k + 1) * H])
    return out


def uses_kernels(backend: Backend, dtype: np.dtype[Any]) -> bool:
    """Return whether a backend means compiled code for arrays of a dtype, on this machine."""
    if backend == "cpu":
        return dtype.name in DTYPES and dtype.isnative
    return backend == "auto" and dtype == np.float32


def expect_backend(backend: str, precision: str = "float32") -> None:
    """Raise a ConfigError unless there are such a backend and such a precision."""
    if backend not in BACKENDS:
        raise ConfigError(f"backend must be one of {', '.join(BACKENDS)}; got {backend!r}")
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")


def has_bfloat16() -> bool:
    """Return whether this machine has products of bfloat16."""
    from bptt.kernels.llvm.host import host

    return host().avx512_bf16


def _expect_bfloat16(backend: Backend, dtype: np.dtype[Any], cell: Cell | None = None) -> None:
    """Raise a ConfigError where products in bfloat16 cannot be had."""
    reason = None if cell is None else reason_against(cell, dtype)
    if backend == "reference":
        reason = "backend reference has no such products"
    elif dtype != np.float32:
        reason = f"its sums and parameters are float32; got {dtype}"
    elif reason is None:
        if has_bfloat16():
            return
        reason = "this processor has no AVX512-BF16"
    raise ConfigError(f"precision bfloat16: {reason}; precision float32 runs it")


def kernel(
    backend: Backend, cell: Cell, dtype: np.dtype[Any], precision: Precision = "float32"
) -> "Compiled | None":
    """Return the compiled kernel that a backend means for a cell, or None for the reference.

    Raises
    ------
    ConfigError
        If there is no such backend, or a kernel is asked for where there can be none.
    """
    return _kernel(backend, cell.plain, dtype, precision, os.environ.get("BPTT_TARGET", ""))


@cache
def _kernel(
    backend: Backend, cell: Cell, dtype: np.dtype[Any], precision: Precision, _: str
) -> "Compiled | None":
    expect_backend(backend, precision)
    if precision == "bfloat16":
        _expect_bfloat16(backend, dtype, cell)
    if backend == "reference" or (backend == "auto" and dtype != np.float32):
        return None
    reason = reason_against(cell, dtype)
    if reason is not None:
        if backend == "cpu":
            raise ConfigError(f"backend cpu: {reason}; backend reference runs it")
        return None
    equations = equations_of(cell)
    assert equations is not None
    from bptt.kernels.cell.compiled import Compiled
    from bptt.kernels.cell.interface import Interface
    from bptt.kernels.llvm import jit
    from bptt.kernels.llvm.host import host

    kind = precision if precision == "bfloat16" else dtype.name
    interface, eq = Interface(equations, kind, host()), equations.equations

    def module() -> object:
        from bptt.kernels.cell import sequence  # with computer algebra, which takes a while to import

        return sequence.module(interface)

    return Compiled(
        interface, jit.build(module, eq.text, eq.constants, equations.given, kind, target=interface.host)
    )


def running(backend: Backend, cell: Cell, precision: Precision = "float32") -> str:
    """Return in words what runs a cell in float32, and if it is not compiled code, why."""
    if kernel(backend, cell, np.dtype(np.float32), precision) is not None:
        from bptt.kernels.llvm.host import host

        narrow = ", products in bfloat16" + " on tiles" * host().tiles
        return f"compiled for {host().cpu}" + narrow * (precision == "bfloat16")
    reason = reason_against(cell, np.dtype(np.float32))
    return "the NumPy reference" if reason is None else f"the NumPy reference ({reason})"
