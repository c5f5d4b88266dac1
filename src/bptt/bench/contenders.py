"""Who is measured: ways to take the same training step, or to run the same layer."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, get_args

from bptt.bench.settings import Setting
from bptt.kernels.backends import has_bfloat16

StepKind: TypeAlias = Literal["step", "layers", "lengths", "sampling", "cell", "product"]
"""A training step; its layers alone, forward and backward; a step of sequences of unequal length; a token
written; one layer over arrays, forward and backward; a product of large matrices."""

LayerKind: TypeAlias = Literal[
    "equal", "packed", "resets", "equal forward", "packed forward", "resets forward"
]
"""A layer in PyTorch, forward and backward or forward alone: over sequences of equal length, over packed
ones, over rows that begin anew within them."""

Kind: TypeAlias = StepKind | LayerKind

Work: TypeAlias = Callable[[], Any]
"""Does it once. Of a training step it returns the loss and the gradient at the embedding; of a layer None and
the gradient at its input, or its output where there is no backward."""

KINDS: tuple[Kind, ...] = ("step", "layers", "lengths", "sampling")

STEPS: tuple[Kind, ...] = ("step", "lengths", "sampling")

LAYER_KINDS: tuple[LayerKind, ...] = get_args(LayerKind)


@dataclass(frozen=True)
class Contender:
    """A way to do the work.

    Attributes
    ----------
    name, title : str
        For the command line, and for people.
    module : str
        Whose ``prepare(kind, setting, cell, option)`` returns the `Work`.
    option : str
        Which of the module's ways.
    needs : str
        What must be installed.
    kinds : tuple of str
        What it can do.
    by_default : bool
        Whether it is measured where nobody is named.
    """

    name: str
    title: str
    module: str
    option: str
    needs: str = "numpy"
    kinds: tuple[Kind, ...] = STEPS
    by_default: bool = True

    @property
    def is_here(self) -> bool:
        """Whether what it needs is installed."""
        if self.module == "ours" and "bfloat16" in self.option and not has_bfloat16():
            return False
        return find_spec(self.needs) is not None

    def prepare(self, kind: Kind, setting: Setting, cell: str) -> Work:
        """Return what does the work once, its weights and data made ready."""
        work: Work = import_module(f"bptt.bench.{self.module}").prepare(kind, setting, cell, self.option)
        return work


CONTENDERS: dict[str, Contender] = {
    c.name: c
    for c in (
        Contender("bptt", "bptt", "ours", "cpu", kinds=(*KINDS, "cell")),
        Contender("bptt-bf16", "bptt bf16", "ours", "cpu bfloat16"),
        Contender("reference", "NumPy steps", "ours", "reference", kinds=(*STEPS, "cell")),
        Contender("torch", "PyTorch", "with_torch", "float32", "torch"),
        Contender("torch-bf16", "PyTorch bf16", "with_torch", "bfloat16", "torch", ("step", "lengths")),
        Contender("torch-compiled", "PyTorch compiled", "with_torch", "compiled", "torch", ("step",), False),
        Contender("jax", "JAX", "with_jax", "float32", "jax", ("step", "sampling")),
        Contender("bptt.torch", "bptt.torch", "with_layers", "bptt", "torch", LAYER_KINDS),
        Contender("torch.nn", "torch.nn", "with_layers", "torch", "torch", LAYER_KINDS),
        Contender("scripted", "scripted loop", "with_layers", "scripted", "torch", LAYER_KINDS, False),
        Contender("compiled", "compiled loop", "with_layers", "compiled", "torch", LAYER_KINDS, False),
    )
}

PRODUCTS: dict[str, Contender] = {
    c.name: c
    for c in (
        Contender("bptt-product", "bptt", "ours", "cpu", kinds=("product",)),
        Contender("numpy-product", "NumPy", "ours", "reference", kinds=("product",)),
    )
}
"""Who multiplies matrices, for the machine's limit."""
