"""The layers in what PyTorch does to programs: compile, export, function transforms, modes, other types."""

import copy
import io
import shutil
import sys
from typing import Any

import pytest

from sampling import EVERY
from torch_layers import (
    KINDS,
    assert_near,
    assert_same,
    beyond_nn,
    compiled_code,  # noqa: F401  a fixture
    copied,
    flat,
    gradients,
    pair,
    random,
    sequence,
    states,
    torch,
    values_and_gradients,
)

EACH = pytest.mark.parametrize("kind", KINDS)
BOTH = {"num_layers": 2, "bidirectional": True}
pytestmark = pytest.mark.filterwarnings(  # PyTorch's, of itself
    "ignore:TF32 acceleration",
    "ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated",
    "ignore:`torch.jit.script:DeprecationWarning",
)


class Tagger(torch.nn.Module):  # type: ignore[misc]
    """A model about a layer, which is what is compiled and exported."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.rnn = layer
        self.output = torch.nn.Linear(layer.hidden_size * (1 + layer.bidirectional), 2, dtype=torch.float64)

    def forward(self, x: Any, hx: Any = None) -> Any:
        output, last = self.rnn(x.tanh(), hx)
        return self.output(output.relu()), last


def taggers(kind: str, **settings: Any) -> tuple[Any, Any]:
    ours, theirs = (Tagger(layer) for layer in pair(kind, 3, 4, **settings))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.fixture
def fresh_dynamo() -> Any:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@beyond_nn
@pytest.mark.parametrize(
    ("kind", "settings"), [("LSTM", BOTH), ("GRU", {}), ("RNN-relu", {"batch_first": True, "bias": False})]
)
def test_compiled_without_a_break(kind: str, settings: dict[str, Any], fresh_dynamo: Any) -> None:
    ours, theirs = taggers(kind, **settings)
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    x, hx = sequence(ours.rnn, 5, 3), states(ours.rnn, 3)
    for _ in range(2):
        for given in ((x, hx), (x.detach(),)):
            both = []
            for model, called in ((ours, compiled), (theirs, theirs)):
                given_here = copied(given)
                outputs = flat(called(*given_here))
                leaves = [t for t in [*flat(given_here), *model.parameters()] if t.requires_grad]
                both.append([*outputs, *gradients(outputs, leaves)])
            assert_near(*both)
        for model in (ours, theirs):  # weights that were trained meanwhile are seen
            with torch.no_grad():
                model.rnn.weight_hh_l0.add_(0.25)
    with torch.no_grad():
        assert_near(compiled(x, hx), theirs(x, hx))


@beyond_nn
def test_compiled_for_any_number_of_steps_and_rows(fresh_dynamo: Any) -> None:
    from torch._dynamo.testing import CompileCounterWithBackend

    ours, theirs = taggers("LSTM", **BOTH)
    counted, counts = CompileCounterWithBackend("aot_eager"), set()
    compiled = torch.compile(ours, fullgraph=True, backend=counted, dynamic=True)
    for steps, rows in ((7, 6), (9, 11), (6, 5), (13, 9)):  # none is a size of the layer
        x, hx = sequence(ours.rnn, steps, rows), states(ours.rnn, rows)
        outputs, wanted = flat(compiled(x, hx)), flat(theirs(x, hx))
        assert_near(outputs, wanted)
        assert_near(gradients(outputs, [x, *ours.parameters()]), gradients(wanted, [x, *theirs.parameters()]))
        counts.add(counted.frame_count)
    assert len(counts) == 1


@beyond_nn
@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("g++") or not EVERY,
    reason="Inductor wants a C++ compiler, and a minute",
)
def test_compiled_by_inductor(fresh_dynamo: Any) -> None:
    ours, theirs = taggers("LSTM")
    compiled = torch.compile(ours, fullgraph=True)
    x = sequence(ours.rnn, 5, 3)
    outputs, wanted = flat(compiled(x)), flat(theirs(x))
    assert_near(outputs, wanted)
    assert_near(gradients(outputs, [x, *ours.parameters()]), gradients(wanted, [x, *theirs.parameters()]))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # Dynamo's, of an output
def test_compiled_with_packed_input(fresh_dynamo: Any) -> None:
    """Breaks are allowed, other numbers are not."""
    ours, theirs = pair("GRU", 3, 4, **BOTH)
    compiled = torch.compile(ours, backend="aot_eager")
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        sequence(ours, 5, 3).detach(), [2, 5, 1], enforce_sorted=False
    )
    assert_near(compiled(packed), theirs(packed))


@beyond_nn  # which fixes the number of steps
@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize(("kind", "settings"), [("LSTM", {**BOTH, "batch_first": True}), ("GRU", {})])
def test_exported_for_any_number_of_steps_and_rows(kind: str, settings: dict[str, Any]) -> None:
    ours, theirs = taggers(kind, **settings)
    ours.eval(), theirs.eval()
    steps, rows = torch.export.Dim("steps", min=2, max=99), torch.export.Dim("rows", min=2, max=99)
    first = settings.get("batch_first", False)
    x, hx = sequence(ours.rnn, 5, 3).detach(), copied(states(ours.rnn, 3))
    sizes = {0: rows, 1: steps} if first else {0: steps, 1: rows}
    state = {1: rows}
    program = torch.export.export(
        ours, (x, hx), dynamic_shapes=(sizes, (state, state) if kind == "LSTM" else state)
    )
    stored = io.BytesIO()
    torch.export.save(program, stored)
    stored.seek(0)
    for module in (
        program.module(),
        torch.export.load(stored).module(),
        program.run_decompositions().module(),
    ):
        for size in ((5, 3), (7, 2), (11, 4)):
            x, hx = sequence(ours.rnn, *size).detach(), states(ours.rnn, size[1])
            assert_near([t.detach() for t in flat(module(x, hx))], [t.detach() for t in flat(theirs(x, hx))])


@EACH
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_traced(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, **BOTH)
    x, hx = sequence(ours, 5, 3).detach(), copied(states(ours, 3))
    traced = torch.jit.trace(ours, (x, hx))
    x, hx = sequence(ours, 5, 3, seed=8).detach(), states(ours, 3, seed=9)
    assert_near(traced(x, hx), theirs(x, hx))


@EACH
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted(kind: str, tmp_path: Any) -> None:
    """A scripted model has PyTorch's own layer of the same parameters: no bptt is wanted to load it."""
    ours, theirs = (torch.nn.Sequential(layer) for layer in pair(kind, 3, 4, **BOTH))
    x = sequence(ours[0], 5, 3)
    scripted, wanted = torch.jit.script(copy.deepcopy(ours)), flat(theirs(x))
    scripted.save(str(tmp_path / "scripted.pt"))
    for module in (scripted, torch.jit.load(str(tmp_path / "scripted.pt"))):
        assert_near(flat(module(x)), wanted)
        found = gradients(flat(module(x)), [x, *module.parameters()])
        assert_near(found, gradients(wanted, [x, *theirs.parameters()], retain_graph=True))
    weight = ours[0].weight_hh_l0
    torch.jit.script(ours)
    assert ours[0].weight_hh_l0 is weight  # which an optimiser may hold


def functional(layer: Any, x: Any, weights: Any) -> Any:
    """Return the outputs as a function of input and weights alone."""
    return torch.func.functional_call(layer, weights, (x,))


def loss_of(layer: Any, x: Any, weights: Any) -> Any:
    return sum((output * (1 + k)).sin().sum() for k, output in enumerate(flat(functional(layer, x, weights))))


def detached(layer: Any) -> Any:
    return {name: p.detach() for name, p in layer.named_parameters()}


@EACH
def test_func_grad_vjp_and_jacrev(kind: str) -> None:
    from torch.func import grad, grad_and_value, vjp

    ours, theirs = pair(kind, 3, 4, **BOTH)
    x = sequence(ours, 4, 2).detach()
    both = []
    for layer in (ours, theirs):
        weights = detached(layer)
        first = grad(lambda x, w, layer=layer: loss_of(layer, x, w), argnums=(0, 1))(x, weights)
        twice = grad(lambda x, w=weights, f=layer: grad(lambda y: loss_of(f, y, w))(x).square().sum())(x)
        value = grad_and_value(lambda w, layer=layer: loss_of(layer, x, w))(weights)
        outputs, pull = vjp(lambda x, w=weights, layer=layer: functional(layer, x, w)[0], x)
        both.append([first, twice, value, outputs, pull(outputs.cos())])
    assert_near(both[0], both[1], 1e-10)


@EACH
def test_what_was_kept_from_within_a_transform(kind: str) -> None:
    layer, kept = pair(kind, 3, 4)[0], []

    def keeping(x: Any) -> Any:
        kept.append(2 * x)
        return x.sum()

    torch.func.grad(keeping)(torch.ones(5, 2, 3, dtype=torch.float64))
    with torch.no_grad():
        assert_near(layer(kept[0])[0], layer(torch.full((5, 2, 3), 2.0, dtype=torch.float64))[0], 1e-10)


@beyond_nn
@EACH
def test_func_vmap_jacobians_and_hessians(kind: str) -> None:
    from torch.func import grad, hessian, jacfwd, jacrev, vmap

    ours, theirs = pair(kind, 2, 3, **BOTH)
    weights, wanted_weights = detached(ours), detached(theirs)
    many = random(5, 3, 2, 2, grad=False)  # five inputs of 3 steps, 2 rows
    got = vmap(lambda x: functional(ours, x, weights))(many)
    alone = [flat(functional(theirs, x, wanted_weights)) for x in many]
    assert_near(flat(got), [torch.stack(parts) for parts in zip(*alone, strict=True)])

    each = vmap(grad(lambda w, x: loss_of(ours, x, w)), in_dims=(None, 0))(weights, many)
    alone = [grad(lambda w, x=x: loss_of(theirs, x, w))(wanted_weights) for x in many]
    assert_near([each[n] for n in weights], [torch.stack([a[n] for a in alone]) for n in weights])

    x = many[0]
    wanted = torch.autograd.functional.jacobian(lambda x: functional(theirs, x, wanted_weights)[0], x)
    assert_near(jacrev(lambda x: functional(ours, x, weights)[0])(x), wanted)
    assert_near(jacfwd(lambda x: functional(ours, x, weights)[0])(x), wanted)
    assert_near(
        hessian(lambda x: loss_of(ours, x, weights))(x),
        torch.autograd.functional.hessian(lambda x: loss_of(theirs, x, wanted_weights), x),
        1e-10,
    )


@beyond_nn
@EACH
def test_an_ensemble_of_layers_in_one_call(kind: str) -> None:
    from torch.func import functional_call, stack_module_state, vmap

    several = [pair(kind, 3, 4, 2)[0] for _ in range(3)]
    for k, layer in enumerate(several):
        layer.load_state_dict({n: random(*p.shape, seed=k, grad=False) for n, p in layer.named_parameters()})
    weights, buffers = stack_module_state(several)
    x = sequence(several[0], 4, 2)
    got = vmap(lambda w, b: functional_call(several[0], (w, b), (x,)))(weights, buffers)
    assert_near(flat(got), [torch.stack(parts) for parts in zip(*(flat(m(x)) for m in several), strict=True)])


@beyond_nn
@EACH
def test_forward_mode(kind: str) -> None:
    """Derivatives along a direction, of input, states and weights, against differences of PyTorch's layer."""
    from torch.func import jvp

    ours, theirs = pair(kind, 3, 4, **BOTH)
    x, hx = sequence(ours, 4, 2).detach(), copied(states(ours, 2))
    state = [h.detach() for h in flat(hx)]
    primal = [x, *state, *detached(ours).values()]
    names = list(detached(ours))

    def call(layer: Any, *given: Any) -> Any:
        h = tuple(given[1 : 1 + len(state)]) if kind == "LSTM" else given[1]
        weights = dict(zip(names, given[1 + len(state) :], strict=True))
        return tuple(flat(torch.func.functional_call(layer, weights, (given[0], h))))

    along = [random(*p.shape, seed=20 + k, grad=False) for k, p in enumerate(primal)]
    outputs, slopes = jvp(lambda *given: call(ours, *given), tuple(primal), tuple(along))
    assert_near(outputs, [o.detach() for o in call(theirs, *primal)])
    step = 1e-6
    with torch.no_grad():
        above = call(theirs, *(p + step * a for p, a in zip(primal, along, strict=True)))
        below = call(theirs, *(p - step * a for p, a in zip(primal, along, strict=True)))
    assert_near(slopes, [(a - b) / (2 * step) for a, b in zip(above, below, strict=True)], 1e-8)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, along[0])
        got = torch.autograd.forward_ad.unpack_dual(ours(dual)[0]).tangent
    wanted = jvp(lambda x: ours(x)[0], (x,), (along[0],))[1]
    assert_near(got.detach(), wanted.detach())


@EACH
def test_without_numbers(kind: str) -> None:
    """Meta and fake tensors: shapes and types alone, and gradients' shapes."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    ours, theirs = pair(kind, 3, 4, **BOTH)
    wanted = theirs(random(5, 2, 3))
    got = ours.to("meta")(random(5, 2, 3, grad=False).to("meta"))
    assert [(t.shape, t.dtype, t.device.type) for t in flat(got)] == [
        (t.shape, t.dtype, "meta") for t in flat(wanted)
    ]
    got[0].sum().backward()
    assert all(p.grad.shape == p.shape for p in ours.parameters())
    with FakeTensorMode():
        made = type(ours)(3, 4, **BOTH, dtype=torch.float64)
        outputs = flat(made(torch.randn(5, 2, 3, dtype=torch.float64)))
        outputs[0].sum().backward()
        assert [t.shape for t in outputs] == [t.shape for t in flat(wanted)]
        assert all(p.grad.shape == p.shape for p in made.parameters())


@EACH
def test_modes_of_dispatch(kind: str) -> None:
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    class Functions(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return func(*args, **(kwargs or {}))

    class Operations(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return func(*args, **(kwargs or {}))

    for mode in (Functions, Operations, lambda: FlopCounterMode(display=False), torch.profiler.profile):
        ours, theirs = pair(kind, 3, 4, **BOTH)
        with mode():
            got = ours(sequence(ours, 4, 2))
            got[0].square().sum().backward()
        wanted = theirs(sequence(ours, 4, 2))
        wanted[0].square().sum().backward()
        assert_near(
            [got, [p.grad for p in ours.parameters()]], [wanted, [p.grad for p in theirs.parameters()]]
        )


@EACH
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_other_types(kind: str, dtype: str) -> None:
    ours, theirs = pair(kind, 3, 4, **BOTH)
    ours, theirs = (layer.to(getattr(torch, dtype)) for layer in (ours, theirs))
    with torch.backends.mkldnn.flags(enabled=dtype != "float16"):  # oneDNN has it on some processors only
        assert_same(ours, theirs, sequence(ours, 5, 3), states(ours, 3))
        assert_same(ours, theirs, sequence(ours, 5, 3))


@EACH
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_autocast(kind: str, dtype: str) -> None:
    """Within what bfloat16 rounds; an LSTM is narrow with oneDNN alone, and not on all processors."""
    ours, theirs = pair(kind, 8, 16, dtype=torch.float32, **BOTH)
    x, hx, low = sequence(ours, 5, 3), states(ours, 3), getattr(torch, dtype)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x.detach(), [5, 2, 1])
    with (
        torch.autocast("cpu", low),
        torch.backends.mkldnn.flags(enabled=dtype == "bfloat16" and kind != "LSTM"),
    ):
        for given in ((x, hx), (x,), (x.detach().to(low),), (packed,), (packed, hx)):
            got, wanted = (values_and_gradients(layer, *copied(given)) for layer in (ours, theirs))
            if kind == "LSTM" and dtype == "bfloat16":
                got, wanted = ([t.float() for t in each] for each in (got, wanted))
            assert_near(got, wanted, 3e-2)
        with torch.autocast("cpu", enabled=False):
            assert_same(ours, theirs, x, hx)


@beyond_nn  # an LSTM of oneDNN has no bfloat16 on some processors
def test_autocast_of_an_lstm_with_onednn() -> None:
    ours, theirs = pair("LSTM", 8, 16, dtype=torch.float32, **BOTH)
    x = sequence(ours, 5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        got = values_and_gradients(ours, x)
        assert got[0].dtype in (torch.float32, torch.bfloat16)
    assert_near([t.float() for t in got], values_and_gradients(theirs, x), 3e-2)


def test_the_default_type() -> None:
    before = torch.get_default_dtype()
    try:
        for dtype in (torch.float64, torch.float32):
            torch.set_default_dtype(dtype)
            ours, theirs = pair("LSTM", 3, 4, dtype=None)
            assert ours.weight_hh_l0.dtype is dtype
            assert_same(ours, theirs, random(4, 2, 3, dtype=dtype))
    finally:
        torch.set_default_dtype(before)
