"""PyTorch's own inputs and wrong inputs of its recurrent modules, through the layers under test.

What PyTorch's test_modules.py does with a ModuleInfo, where it applies to such a layer on a CPU: a layer has
no in-place form and no memory format.
"""

import copy
import pickle
from functools import cache
from typing import Any

import pytest

from torch_layers import (
    assert_compiled,
    assert_near,
    assert_same,
    compiled_code,  # noqa: F401  a fixture
    flat,
    layers,
    pytree,
    torch,
    values_and_gradients,
)

pytest.importorskip("expecttest")
modules = pytest.importorskip("torch.testing._internal.common_modules")

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
NAMES = ("RNN", "GRU", "LSTM")
EACH = pytest.mark.parametrize("name", NAMES)
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


@cache
def info_of(name: str) -> Any:
    """Return PyTorch's description of its module, with the class under test in its place."""
    (theirs,) = [info for info in modules.module_db if info.module_cls is getattr(torch.nn, name)]
    ours = copy.copy(theirs)
    ours.module_cls = getattr(layers, name)
    return ours


def cases(name: str, training: bool = True, dtype: Any = torch.float64, grad: bool = False) -> Any:
    """Yield a layer under test, PyTorch's of the same weights, the input and its reference."""
    info = info_of(name)
    torch.manual_seed(5)
    more = {} if name == "LSTM" else {"with_packed_sequence": True}
    for case in info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=grad, training=training, **more
    ):
        made = case.constructor_input
        theirs = getattr(torch.nn, name)(*made.args, **made.kwargs, dtype=dtype).train(training)
        ours = info.module_cls(*made.args, **made.kwargs, dtype=dtype).train(training)
        ours.load_state_dict(theirs.state_dict())
        yield ours, theirs, case.forward_input.args, case.reference_fn


def is_packed(arguments: Any) -> bool:
    return isinstance(arguments[0], torch.nn.utils.rnn.PackedSequence)


@EACH
@pytest.mark.parametrize(("training", "dtype"), [(True, torch.float64), (False, torch.float32)], ids=str)
def test_values_and_gradients_of_every_input_are_pytorchs(name: str, training: bool, dtype: Any) -> None:
    found = list(cases(name, training, dtype, grad=True))
    assert len(found) == {"RNN": 64, "GRU": 32, "LSTM": 32}[name]
    for ours, theirs, arguments, reference in found:
        if is_packed(arguments):  # its data is no leaf
            arguments = (arguments[0]._replace(data=arguments[0].data.detach().requires_grad_()),)
        assert_same(ours, theirs, *arguments)
        assert_compiled(ours)
        if not is_packed(arguments):  # PyTorch's reference takes no packed input; nobody calls it with one
            assert_near(ours(*arguments), reference(ours, *arguments), 1e-5)


@EACH
@DTYPES
def test_device_and_dtype_given_at_the_making(name: str, dtype: Any) -> None:
    made = info_of(name).module_cls(2, 3, num_layers=2, bidirectional=True, device="cpu", dtype=dtype)
    assert {(p.device.type, p.dtype) for p in made.parameters()} == {("cpu", dtype)}
    on_meta = info_of(name).module_cls(2, 3, device="meta", dtype=dtype)
    assert {(p.device.type, p.dtype) for p in on_meta.parameters()} == {("meta", dtype)}
    with torch.device("meta"):
        made = info_of(name).module_cls(2, 3, dtype=dtype)
    assert all(p.is_meta for p in made.parameters())


@EACH
def test_a_layer_is_shown_in_pytorchs_words(name: str) -> None:
    for ours, theirs, *_ in cases(name):
        assert repr(ours) == repr(theirs)


@EACH
def test_a_pickled_layer_computes_the_same(name: str, tmp_path: Any) -> None:
    for k, (ours, _, arguments, _) in enumerate(list(cases(name))[::3]):
        ours.train(training := bool(k % 2))
        before = ours(*arguments)
        torch.save(ours, tmp_path / "layer.pt")
        for again in (
            pickle.loads(pickle.dumps(ours)),
            torch.load(tmp_path / "layer.pt", weights_only=False),
            copy.deepcopy(ours),
        ):
            assert type(again) is type(ours)
            assert again.training is training
            assert_near(again(*arguments), before, 1e-15)


@EACH
def test_arguments_and_gradients_need_not_be_contiguous(name: str) -> None:
    def spread(tensor: Any) -> Any:
        """Return the same numbers, every second one of a larger array, as a leaf."""
        room = torch.full((*tensor.shape, 2), float("nan"), dtype=tensor.dtype)
        room[..., 1] = tensor.detach()
        return room[..., 1].detach().requires_grad_()

    for ours, theirs, arguments, _ in cases(name):
        if is_packed(arguments):
            continue
        for at in range(len(arguments)):
            apart = [
                pytree.tree_map(spread if k == at else lambda t: t.clone().requires_grad_(), argument)
                for k, argument in enumerate(arguments)
            ]
            dense = [
                pytree.tree_map(lambda t: t.clone().requires_grad_(), argument) for argument in arguments
            ]
            assert_near(values_and_gradients(ours, *apart), values_and_gradients(theirs, *dense))
        outputs, wanted = flat(ours(*dense)), flat(theirs(*dense))
        leaves = flat(dense)
        given = [spread(torch.randn_like(o)).detach() for o in outputs]
        assert_near(
            torch.autograd.grad(outputs, leaves, given),
            torch.autograd.grad(wanted, leaves, [g.contiguous() for g in given]),
        )


def few(name: str) -> list[Any]:
    """Return every fifth input, which has each setting both ways; a gradient check takes a run an element."""
    return list(cases(name, grad=True))[::5]


def as_function(layer: Any, arguments: Any) -> tuple[Any, list[Any]]:
    """Return the layer as a function of tensors alone, its weights among them, and these tensors."""
    leaves, spec = pytree.tree_flatten(arguments)
    inputs = [t.detach().clone().requires_grad_() if t.is_floating_point() else t for t in leaves]
    names = [n for n, _ in layer.named_parameters()]
    weights = [p.detach().clone().requires_grad_() for p in layer.parameters()]

    def call(*tensors: Any) -> Any:
        given = pytree.tree_unflatten(list(tensors[: len(inputs)]), spec)
        replaced = dict(zip(names, tensors[len(inputs) :], strict=True))
        return tuple(flat(torch.func.functional_call(layer, replaced, given)))

    return call, [*inputs, *weights]


@EACH
def test_gradients_are_those_of_differences(name: str) -> None:
    for ours, _, arguments, _ in few(name):
        if not is_packed(arguments):
            assert torch.autograd.gradcheck(*as_function(ours, arguments), fast_mode=True)


@EACH
def test_second_gradients_are_those_of_differences(name: str) -> None:
    for ours, _, arguments, _ in few(name)[::2]:
        if not is_packed(arguments):
            assert torch.autograd.gradgradcheck(*as_function(ours, arguments), fast_mode=True)


@EACH
@pytest.mark.parametrize("swap", [False, True], ids=["set", "swap"])
def test_a_layer_goes_to_another_type_and_computes_in_it(name: str, swap: bool) -> None:
    for ours, theirs, arguments, _ in list(cases(name))[::7]:
        for dtype in (torch.float32, torch.bfloat16, torch.float64):
            given = pytree.tree_map_only(
                torch.Tensor, lambda t, d=dtype: t.to(d) if t.is_floating_point() else t, arguments
            )
            torch.__future__.set_swap_module_params_on_conversion(swap)
            try:
                ours.to(dtype), theirs.to(dtype)
            finally:
                torch.__future__.set_swap_module_params_on_conversion(False)
            assert_same(ours, theirs, *given)


@EACH
def test_train_and_eval_differ_by_dropout_alone(name: str) -> None:
    ours = info_of(name).module_cls(2, 40, num_layers=2, dropout=0.5)
    x = torch.randn(3, 4, 2)
    assert_near(ours.eval()(x), ours.eval()(x), 1e-15)
    evaluated = ours(x)[0]
    assert not torch.equal(ours.train()(x)[0], evaluated)
    assert ours(x)[0].shape == evaluated.shape


@EACH
def test_a_layer_without_storage_is_given_some(name: str) -> None:
    for ours, theirs, arguments, _ in list(cases(name))[::7]:
        state = ours.state_dict()
        empty = ours.to("meta").to_empty(device="cpu")
        assert all(p.device.type == "cpu" for p in empty.parameters())
        empty.load_state_dict(theirs.state_dict())
        assert list(state) == list(empty.state_dict())
        assert_same(empty, theirs, *arguments)


@EACH
def test_every_wrong_input_is_refused_in_pytorchs_words(name: str) -> None:
    info = info_of(name)
    found = 0
    for dtype in (torch.float32, torch.float64):
        for wrong in info.module_error_inputs_func(
            info, device="cpu", dtype=dtype, requires_grad=False, training=True
        ):
            made = wrong.module_error_input.constructor_input
            if wrong.error_on is modules.ModuleErrorEnum.CONSTRUCTION_ERROR:
                with pytest.raises(wrong.error_type, match=wrong.error_regex):
                    info.module_cls(*made.args, **made.kwargs)
            else:
                ours = info.module_cls(*made.args, **made.kwargs)
                given = wrong.module_error_input.forward_input
                with pytest.raises(wrong.error_type, match=wrong.error_regex):
                    ours(*given.args, **given.kwargs)
            found += 1
    assert found == 28
