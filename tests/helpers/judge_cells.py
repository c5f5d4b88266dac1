"""Random programs over the whole notation, judged: derived, run through time, compiled and printed.

``python tests/helpers/judge_cells.py --cells 1000 --seed 0`` draws as many and counts; the tests judge a few.
For each: what is derived is the complex step, of one step (1e-12) and of several through the reference loop
(1e-11 along a random direction of each array); kernels are the reference, in float64 and float32; and of some
what is printed, as NumPy, PyTorch, JAX and a page, is what is derived: it is run before it is handed out.
"""

import argparse
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, page
from bptt.derive.proof import STEP, prove
from bptt.errors import ZeroGradientWarning
from bptt.layer.shapes import layer_shapes
from bptt.types import Array, Generator, Params
from poison import poison
from whole_cells import STEPS, cell_of

PRINTED = ("numpy", "text", "torch", "jax")
NEAR = {"float64": 1e-11, "float32": 1e-4}
"""How far a kernel may be from the reference, relative to the largest of what is compared."""


class Layer:
    """Numbers to run a layer of a cell with."""

    def __init__(self, cell: EquationCell, rng: Generator, T: int, N: int, H: int) -> None:
        self.cell, D = cell, H if "x" in cell.inputs else 3
        shapes = layer_shapes(cell, D, H, "two" if rng.random() < 0.5 else "one")
        self.arrays = {n: rng.normal(size=s) / np.sqrt(max(s[0], 1)) for n, s in shapes.items()}
        self.params = [*shapes]
        self.given = [n for n in cell.inputs if n != "x"]
        self.arrays |= {n: rng.normal(size=(T, N, cell.width(n, H))) for n in self.given}
        self.arrays |= {".x": rng.normal(size=(T, N, D))}
        self.arrays |= {f".{s}": rng.normal(size=(N, cell.width(s, H))) for s in cell.states}
        self.dy = rng.normal(size=(T, N, cell.width(cell.states[0], H)))
        self.dfinal = [rng.normal(size=(N, cell.width(s, H))) for s in cell.states]
        self.flags: dict[str, Any] = {"reverse": bool(rng.random() < 0.3)}
        if rng.random() < 0.4:
            self.flags |= {"mask": rng.random((T, N)) < 0.8, "reset": rng.random((T, N)) < 0.3}

    def run(self, arrays: Params, backend: str = "reference") -> Any:
        """Run it through time."""
        params = {n: arrays[n] for n in self.params}
        states = tuple(arrays[f".{s}"] for s in self.cell.states)
        given = {n: arrays[n] for n in self.given}
        how: Any = {"inputs": given, "backend": backend, **self.flags}
        return bptt.unroll(self.cell, params, arrays[".x"], states, **how)

    def gradients(self, run: Any) -> Params:
        """Return the gradients at all arrays."""
        dtype = run.y.dtype
        grads = run.backward(self.dy.astype(dtype), tuple(d.astype(dtype) for d in self.dfinal))
        states = {f".{s}": g for s, g in zip(self.cell.states, grads.states, strict=True)}
        found: Params = grads.params | {".x": grads.inputs} | states
        return found

    def outputs(self, run: Any) -> Params:
        """Return what it puts out."""
        return {"y": run.y} | {f"final {k}": s for k, s in enumerate(run.states)}

    def terms(self, run: Any) -> Array:
        """Return what the loss is the sum of."""
        pairs = [(run.y, self.dy), *zip(run.states, self.dfinal, strict=True)]
        return np.concatenate([(a * d).ravel() for a, d in pairs])


def through_time(layer: Layer, rng: Generator) -> str:
    """Return what is off: the gradients of a sequence and the complex step."""
    run = layer.run(layer.arrays)
    if not np.isfinite(layer.terms(run)).all():
        return "no number"
    grads = layer.gradients(run)
    lifted = {n: a.astype(complex) for n, a in layer.arrays.items()}
    for name, array in lifted.items():
        way = rng.normal(size=array.shape)
        moved = layer.terms(layer.run(lifted | {name: array + STEP * 1j * way}))
        rises = moved.imag / STEP
        got = grads[name] * way
        size = 1 + np.abs(rises).sum() + np.abs(got).sum()
        if not abs(got.sum() - rises.sum()) < 1e-11 * size:
            return f"through time, at {name}: {got.sum():.12g}, by complex step {rises.sum():.12g}"
    return ""


def compiled(cell: EquationCell, layer: Layer, dtype: str, rng: Generator) -> str:
    """Return what is off: a kernel and the reference, in a dtype."""
    arrays = {n: a.astype(dtype) for n, a in layer.arrays.items()}
    runs = [layer.run(arrays, backend) for backend in ("reference", "cpu")]
    right, fast = (layer.outputs(run) | layer.gradients(run) for run in runs)
    exact: Params = {}
    for name, wanted in right.items():
        got = fast[name]
        if got.dtype != wanted.dtype or got.shape != wanted.shape:
            return f"kernel {dtype}: {name} is {got.dtype} {got.shape}, wanted {wanted.dtype} {wanted.shape}"
        size = max(1.0, float(np.abs(wanted).max(initial=0)))
        if not (off := float(np.abs(got - wanted).max(initial=0))) < NEAR[dtype] * size:
            if dtype == "float32":  # is it as near to what is right as the reference is?
                if not exact:
                    ran = layer.run({n: a.astype(float) for n, a in arrays.items()})
                    exact = layer.outputs(ran) | layer.gradients(ran)
                bound = 30 * np.abs(wanted - exact[name]).max(initial=0)
                if np.abs(got - exact[name]).max(initial=0) < bound:
                    continue
            return f"kernel {dtype}: {name} is off by {off / size:.1e}"
    return ""


def judge(seed: int, *, kernels: bool = True, printed: Iterable[str] = ()) -> list[str]:
    """Return what is wrong with a cell, nothing if all is right."""
    cell, rng = cell_of(seed), np.random.default_rng(seed)
    prove(cell.derivation)
    sizes = int(rng.integers(1, 4)), int(rng.integers(1, 8)), cell.equations.heads * int(rng.integers(1, 12))
    found = [through_time(Layer(cell, rng, 3, 2, cell.equations.heads * 2), rng)]
    for dtype in ("float64", "float32") if kernels else ():
        jumps = any(word in cell.equations.text.partition("where(u > v, v, w)")[2] for word in STEPS)
        tries = [compiled(cell, Layer(cell, rng, *sizes), dtype, rng) for _ in range(1)]
        while tries[-1] and jumps and len(tries) < 4:  # on another side of a step
            tries.append(compiled(cell, Layer(cell, rng, *sizes), dtype, rng))
        found.append(tries[-1])
    for form in printed:
        page(cell, form)
    return [said for said in found if said]


def main() -> None:
    """Judge many, print what is wrong, and count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first")
    parser.add_argument("--printed", type=int, default=5, help="print each so manieth, a form in turn")
    parser.add_argument("--no-kernels", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", ZeroGradientWarning)
    poison(pytest.MonkeyPatch())
    counts, begun = Counter[str](), time.process_time()
    for k, seed in enumerate(range(asked.seed, asked.seed + asked.cells)):
        forms = [] if k % asked.printed else [PRINTED[k // asked.printed % len(PRINTED)]]
        try:
            said = judge(seed, kernels=not asked.no_kernels, printed=forms)
        except Exception as error:  # whatever it is, it is told and counted
            said = [f"{type(error).__name__}: {error or traceback.format_exc(limit=-1)}"]
        for text in said:
            print(f"{seed}: {text}"[:300], flush=True)
        counts["right" if not said else "wrong"] += 1
        counts.update(f"printed as {form}" for form in forms if not said)
        if k % 50 == 49:
            print(f"{k + 1} judged: {dict(counts)}", flush=True)
    print(dict(counts), f"{time.process_time() - begun:.0f} s of CPU")


if __name__ == "__main__":
    main()
