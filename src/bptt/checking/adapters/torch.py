# ruff: noqa: D102 the methods are described in the base class
"""PyTorch code: a ``torch.autograd.Function`` with a backward of its own, and an ``nn.Module``.

PyTorch is not imported here: only where the user's file has done so is there anything to find. A Function
becomes a pair of functions of NumPy arrays, whose backward goes through autograd and so through the user's
backward; the conventions are then found as for any other pair. All is computed in double precision.
"""

import contextlib
import copy
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import returned
from bptt.checking.adapters.constructing import arguments_for
from bptt.checking.adapters.pair import PairSubject
from bptt.checking.adapters.sequence import sequence_subject
from bptt.checking.adapters.shapes import Shape, draw, extent, extents
from bptt.checking.adapters.signature import Slot, fill, parameters, signatures
from bptt.checking.adapters.step import step_subject
from bptt.checking.guard import guarded
from bptt.checking.subject import Sizes, Subject, SubjectError
from bptt.types import Generator, Params

SIZES = {
    **dict.fromkeys(("input_features", "in_features", "emb_dim", "emb_size", "ninp", "d_in"), "D"),
    **dict.fromkeys(("hidden_features", "out_features", "nhid", "rnn_size", "state_size", "d_model"), "H"),
    **dict.fromkeys(("num_embeddings", "ntoken", "num_tokens", "voc_size", "tagset_size", "nclass"), "V"),
}
"""What constructors of Modules call their sizes, besides what others do."""

GIVEN: dict[str, Any] = {
    **dict.fromkeys(("num_layers", "n_layers", "nlayers", "layers", "num_directions"), 1),
    **dict.fromkeys(("bidirectional", "batch_first", "tie_weights"), False),
    **dict.fromkeys(("rnn_type", "cell_type", "rnn"), "LSTM"),
    **dict.fromkeys(("padding_idx", "pad_idx", "pretrained", "weights", "embeddings"), None),
    "device": "cpu",
}
"""What else they ask for."""


def torch_subjects(
    held: Mapping[str, Any], name: str | None, source: str | None, rng: Generator
) -> Iterator[Subject]:
    """Yield the Functions and Modules of a namespace as subjects; nothing where PyTorch is not loaded.

    Parameters
    ----------
    held : dict
        Names to objects.
    name : str, optional
        Look only at this class or instance.
    source : str, optional
        The text of the file, for the names in return statements.
    rng : Generator
    """
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "func"):  # PyTorch 2.0 at least
        return
    for key, value in list(held.items()):  # running code may add to its globals
        if name is not None and name.split(".")[0] != key:
            continue
        found: Subject | None = None
        own = inspect.isclass(value) and not value.__module__.startswith("torch.")
        if own and issubclass(value, torch.autograd.Function):
            found = _of_function(torch, value, source, rng)
        elif isinstance(value, torch.nn.Module) or (own and issubclass(value, torch.nn.Module)):
            found = _of_module(torch, key, value, rng)
        if found is not None:
            yield found


def _of_function(torch: Any, cls: Any, source: str | None, rng: Generator) -> PairSubject | None:
    """Return a Function as a pair, in which the names that PyTorch alone uses are told as others are."""
    own = [p for p in parameters(cls.forward) if p.kind != p.KEYWORD_ONLY]
    if cls.setup_context is torch.autograd.Function.setup_context:
        own = own[1:]  # without ctx
    said = {_alias(p.name): p.name for p in own}
    names = returned(cls.forward, source)
    labels = [names] * max(len(parameters(cls.backward)) - 1, 1) if isinstance(names, str) else names
    if any(not isinstance(n, str) or not n for n in labels) or len({*map(str, labels)}) < len(labels):
        labels = [f"output{k}" for k in range(len(labels))]

    def run(given: Mapping[str, Any], grad: bool) -> tuple[Any, list[Any]]:
        held = [
            torch.tensor(value, requires_grad=grad) if isinstance(value, np.ndarray) else value
            for value in (given.get(p, said_p.default) for p, said_p in zip(said, own, strict=True))
        ]
        result = cls.apply(*held)
        results = list(result) if isinstance(result, tuple) else [result]
        if len(results) != len(labels):
            raise SubjectError(f"{cls.__name__}: {len(results)} outputs, {len(labels)} expected")
        return held, results

    def forward(**given: Any) -> Any:
        with _double(torch), torch.no_grad():
            return {k: r.numpy().copy() for k, r in zip(labels, run(given, False)[1], strict=True)}

    def backward(**given: Any) -> Any:
        with _double(torch), torch.enable_grad():
            held, results = run({k: v for k, v in given.items() if k in said}, True)
            cotangents = [torch.tensor(given[f"d{label}"]) for label in labels]
            return _gradients(torch, dict(zip(said, held, strict=True)), results, cotangents)

    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    arguments = [p.replace(name=a, kind=either) for a, p in zip(said, own, strict=True)]
    back = [inspect.Parameter(n, either) for n in (*said, *(f"d{label}" for label in labels))]
    pair: tuple[Any, Any] = forward, backward
    pair[0].__wrapped__ = cls.forward  # where the names in its return statement are found
    pair[0].__signature__ = inspect.Signature(arguments)
    pair[1].__signature__ = inspect.Signature(back)
    step_first = any(word in cls.__name__.lower() for word in ("step", "cell"))
    kinds = (step_subject, sequence_subject) if step_first else (sequence_subject, step_subject)
    for kind in kinds:
        found = kind(forward, backward, rng, source)
        if found is not None:
            return _renamed(found, f"{cls.__name__}.backward", said, rng)
    return None


def _alias(name: str) -> str:
    """Return ``W_ih`` for ``weight_ih``: the rest of the adapters knows weights by one letter."""
    for word in ("weights", "weight"):
        if name == word or name.startswith(f"{word}_"):
            return "W" + name[len(word) :]
    return name


def _renamed(found: PairSubject, name: str, said: Mapping[str, str], rng: Generator) -> PairSubject:
    """Return the subject with the user's own names for its arrays."""

    def own(table: Mapping[str, Any]) -> dict[str, Any]:
        return {said.get(key, key): value for key, value in table.items()}

    def put(template: Any) -> Any:
        if isinstance(template, Slot):
            return Slot(said.get(template.name, template.name))
        return tuple(map(put, template)) if isinstance(template, tuple) else template

    plan = found.plan
    plan = replace(
        plan,
        name=name,
        arguments={key: put(value) for key, value in plan.arguments.items()},
        back={key: put(value) for key, value in plan.back.items()},
        shapes=own(plan.shapes),
        roles=own(plan.roles),
        time_axis=own(plan.time_axis),
        gradients=own(plan.gradients),
    )
    return PairSubject(plan, found.sizes, rng)


class ModuleSubject(Subject):
    """A Module: its tensors out of input, states and parameters; the gradients are autograd's.

    Parameters
    ----------
    make : callable
        From sizes to a Module.
    arguments : dict of templates
        Of its forward.
    shapes : dict of Shape
        Of input and states; an input without its axis "D" is of tokens.
    roles : dict
        As in `Subject`.
    """

    def __init__(
        self,
        torch: Any,
        name: str,
        make: Callable[[Sizes], Any],
        arguments: Mapping[str, Any],
        shapes: Mapping[str, Shape],
        roles: Mapping[str, str],
        sizes: Sizes,
        rng: Generator,
    ) -> None:
        self.again = torch, name, make, arguments, shapes, roles
        self.torch, self.arguments, self.name, self.sizes = torch, arguments, name, sizes
        (x,) = (n for n, role in roles.items() if role == "x")
        axis = shapes[x].index("T") if "T" in shapes[x] else None
        self.form = "step" if axis is None else "sequence"
        with _double(torch):
            self.module = guarded(make, sizes).double().cpu().eval()
        self.own = [n for n, p in self.module.named_parameters() if p.requires_grad]
        tokens = [] if "D" in shapes[x] else [x]
        words = min((m.num_embeddings for m in _of_kind(self.module, torch.nn.Embedding)), default=sizes.V)
        self.tokens = {n: torch.tensor(rng.integers(words, size=extents(shapes[n], sizes))) for n in tokens}
        self.at = {n: draw(shape, sizes, rng) for n, shape in shapes.items() if n not in tokens}
        self.roles = {n: role for n, role in roles.items() if n not in tokens}
        self.time_axis = {} if axis is None or tokens else {x: axis}
        for n, p in self.module.named_parameters():
            if n in self.own:
                self.at[n] = rng.normal(0, 0.5, tuple(p.shape))
        found = self.outputs(self.at)
        if not found or not all(np.isfinite(array).all() for array in found.values()):
            raise SubjectError(f"{name}: its forward returns no finite tensors")
        self.cotangents = {n: rng.normal(size=array.shape) for n, array in found.items()}
        if axis is not None:
            self.time_axis |= {n: axis for n, a in found.items() if a.ndim == 3 and a.shape[axis] == sizes.T}

    def _run(self, at: Params, grad: bool) -> tuple[dict[str, Any], list[Any]]:
        held = {n: self.torch.tensor(array, requires_grad=grad) for n, array in at.items()}
        given = fill(dict(self.arguments), held | self.tokens, self.sizes)
        inner = {n: held[n] for n in self.own}
        result = guarded(self.torch.func.functional_call, self.module, inner, (), given)
        return held, list(_tensors(self.torch, result))

    def outputs(self, at: Params) -> Params:
        with _double(self.torch), self.torch.no_grad():
            return {f"output{k}": r.numpy().copy() for k, r in enumerate(self._run(at, False)[1])}

    def gradients(self, at: Params, cotangents: Params) -> Params:
        with _double(self.torch), self.torch.enable_grad():
            held, results = self._run(at, True)
            given = [self.torch.tensor(cotangents[f"output{k}"]) for k in range(len(results))]
            return dict(guarded(_gradients, self.torch, held, results, given))

    def resized(self, sizes: Sizes, rng: Generator) -> "ModuleSubject":
        return ModuleSubject(*self.again, sizes, rng)


def _of_module(torch: Any, name: str, value: Any, rng: Generator) -> ModuleSubject | None:
    """Return a Module's class, or an instance, as a subject, in the first convention in which it runs."""
    sizes = Sizes()
    if inspect.isclass(value):
        cls: type = value

        def make(sizes: Sizes) -> Any:
            return _made(cls, sizes)
    else:
        sized = next((m for m in value.modules() if hasattr(m, "input_size")), None)
        if not all(isinstance(getattr(sized, n, None), int) for n in ("input_size", "hidden_size")):
            return None
        sizes = replace(sizes, D=sized.input_size, H=sized.hidden_size)  # type: ignore[union-attr]

        def make(sizes: Sizes) -> Any:
            return copy.deepcopy(value)

    try:
        with _double(torch):
            first = guarded(make, sizes)
    except SubjectError:
        return None
    batch_first = any(getattr(m, "batch_first", False) for m in first.modules())
    through: Shape = ("N", "T", "D") if batch_first else ("T", "N", "D")
    cell = any("Cell" in type(m).__name__ for m in first.modules())
    shapes: list[Shape] = [("N", "D"), through] if cell else [through, ("N", "D")]
    if _of_kind(first, torch.nn.Embedding):
        shapes = [through[:-1], ("T",), ("N",), ("1",), *shapes]
    for x_shape, (arguments, x, states) in product(shapes, list(_conventions(torch, first))):
        for state in (("N", "H"), ("1", "N", "H"), ("1", "1", "H")) if states else ((),):
            own = {x: x_shape} | dict.fromkeys(states, state)
            roles = {x: "x"} | dict(zip(states, ("h0", "c0"), strict=False))
            with contextlib.suppress(SubjectError, RuntimeError, ValueError):  # does not run so
                return ModuleSubject(torch, name, make, arguments, own, roles, sizes, rng)
    return None


def _made(cls: Any, sizes: Sizes) -> Any:
    """Return a Module of a class, made with what its constructor asks for."""
    asked = [p for p in parameters(cls) if p.default is p.empty or p.name.lower() in SIZES]
    given = {p.name: extent(SIZES[p.name.lower()], sizes) for p in asked if p.name.lower() in SIZES}
    given |= {p.name: GIVEN[p.name.lower()] for p in asked if p.name.lower() in GIVEN}

    def rest() -> None: ...

    others = [p for p in parameters(cls) if p.name not in given]
    rest.__signature__ = inspect.Signature(others)  # type: ignore[attr-defined]
    return cls(**given, **arguments_for(rest, cls, sizes, "D"))


def _of_kind(module: Any, kind: type | tuple[type, ...]) -> list[Any]:
    return [m for m in module.modules() if isinstance(m, kind)]


def _conventions(torch: Any, module: Any) -> Iterator[tuple[dict[str, Any], str, tuple[str, ...]]]:
    """Yield arguments of a Module's forward, the name of its input and those of its states."""
    for read in signatures(module.forward, None):
        if not read.x or read.others or read.matrices or read.biases:
            continue
        states = tuple(n for n in (read.h, read.c) if n)
        yield read.arguments, read.x, states
        if len(states) == 1 and isinstance(read.arguments.get(read.h), Slot):
            yield {**read.arguments, read.h: (Slot("h0"), Slot("c0"))}, read.x, ("h0", "c0")
        if states:
            yield {read.x: Slot(read.x)}, read.x, ()
    asked = [p.name for p in parameters(module.forward) if p.default is p.empty]
    if len(asked) in (1, 2) and _of_kind(module, (torch.nn.RNNBase, torch.nn.RNNCellBase)):  # called anything
        yield {n: Slot(n) for n in asked}, asked[0], tuple(asked[1:])


def _tensors(torch: Any, result: Any) -> Iterator[Any]:
    if isinstance(result, torch.Tensor) and (result.is_floating_point() or result.is_complex()):
        yield result
    elif isinstance(result, (tuple, list)):
        for entry in result:
            yield from _tensors(torch, entry)
    elif isinstance(result, dict):
        yield from _tensors(torch, list(result.values()))


def _gradients(torch: Any, held: Mapping[str, Any], results: Any, cotangents: Any) -> Params:
    """Return autograd's gradients, by name; a name is missing where there is none."""
    wanted = {n: v for n, v in held.items() if isinstance(v, torch.Tensor)}
    kept = [(r, c) for r, c in zip(results, cotangents, strict=True) if r.requires_grad]
    found = torch.autograd.grad(
        [r for r, _ in kept], list(wanted.values()), [c for _, c in kept], allow_unused=True
    )
    pairs = zip(wanted, found, strict=True)
    return {n: g.detach().numpy().copy() for n, g in pairs if g is not None}


@contextlib.contextmanager
def _double(torch: Any) -> Iterator[None]:
    """Let the tensors that code makes be in double precision; in one thread, for they are small."""
    before, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
        torch.set_num_threads(threads)
