"""Packed sequences through the layers under test, against PyTorch's layers and each sequence alone."""

from typing import Any

import pytest

from sampling import some
from torch_layers import (
    KINDS,
    assert_compiled,
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
)

rnn_utils = pytest.importorskip("torch.nn.utils.rnn")

EACH = pytest.mark.parametrize("kind", KINDS)
LENGTHS = pytest.mark.parametrize(
    "lengths",
    [[5, 3, 3, 1], [1, 1, 1], [4], [1], [5, 5, 5], [2, 5, 1, 5, 3], [1, 2], [9] + 16 * [1]],
    ids=lambda lengths: "-".join(map(str, lengths[:5])),
)
STACKS = pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_layers": 2, "bidirectional": True},
        {"bias": False, "bidirectional": True},
        {"batch_first": True},
    ],
    ids=["one", "two both ways", "no bias", "batch first"],
)


def leaf(packed: Any) -> Any:
    """Return the same packed sequence with data that is a leaf."""
    return packed._replace(data=packed.data.detach().requires_grad_())


def packed_input(layer: Any, lengths: list[int], **options: Any) -> Any:
    """Return rows of these lengths, packed, in whichever order they stand."""
    x = sequence(layer, max(lengths), len(lengths))
    options = {"batch_first": layer.batch_first, "enforce_sorted": False, **options}
    return leaf(rnn_utils.pack_padded_sequence(x, lengths, **options))


@EACH
@LENGTHS
@STACKS
def test_packed_values_and_gradients_are_pytorchs(
    kind: str, lengths: list[int], settings: dict[str, Any]
) -> None:
    ours, theirs = pair(kind, 3, 4, **settings)
    packed = packed_input(ours, lengths)
    assert_same(ours, theirs, packed)
    assert_same(ours, theirs, packed, states(ours, len(lengths)))
    assert_compiled(ours)
    if lengths == sorted(lengths, reverse=True):
        packed = packed_input(ours, lengths, enforce_sorted=True)
        assert packed.sorted_indices is None
        assert_same(ours, theirs, packed, states(ours, len(lengths)))


@EACH
@pytest.mark.parametrize("enforce_sorted", [False, True])
def test_a_packed_output_has_the_order_of_its_input(kind: str, enforce_sorted: bool) -> None:
    ours, theirs = pair(kind, 3, 4, 2)
    packed = packed_input(ours, [5, 3, 3, 1] if enforce_sorted else [2, 5, 1], enforce_sorted=enforce_sorted)
    got, wanted = ours(packed)[0], theirs(packed)[0]
    assert type(got) is type(wanted)
    for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        assert_near([getattr(got, name)], [getattr(wanted, name)])
    assert_near(rnn_utils.unpack_sequence(got), rnn_utils.unpack_sequence(wanted))
    # what one layer gives, another takes, and the input is as it was
    before = copied(packed)
    assert_same(*pair(kind, 4, 2), leaf(got))
    assert_near(packed, before)


@EACH
@pytest.mark.parametrize("bidirectional", [False, True])
def test_variable_sequence(kind: str, bidirectional: bool) -> None:
    """Packed and padded again is what each sequence gives by itself, gradients too."""
    lengths = [3, 7, 1, 5]
    ours, _ = pair(kind, 3, 4, 2, bidirectional=bidirectional)
    for batch_first in (False, True):
        x = random(*((4, 7) if batch_first else (7, 4)), 3)
        hx = states(ours, 4)
        packed = rnn_utils.pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted=False)
        output, last = ours(packed, hx)
        padded, told = rnn_utils.pad_packed_sequence(output, batch_first, total_length=9)
        assert told.tolist() == lengths
        together = [padded.transpose(0, 1) if batch_first else padded, *flat(last)]

        alone = []
        for row, length in enumerate(lengths):
            part = x[row, :length] if batch_first else x[:length, row]
            first = tuple(h[:, row] for h in hx) if isinstance(hx, tuple) else hx[:, row]
            values, ends = ours(part, first)
            alone.append([torch.nn.functional.pad(values, (0, 0, 0, 9 - length)), *flat(ends)])
        apart = [torch.stack(parts, 1) for parts in zip(*alone, strict=True)]

        assert_near(together, apart)
        leaves = [x, *flat(hx), *ours.parameters()]
        assert_near(gradients(together, leaves), gradients(apart, leaves))


@EACH
def test_what_lies_after_a_sequence_is_not_read(kind: str) -> None:
    ours, _ = pair(kind, 3, 4, bidirectional=True)
    x = sequence(ours, 5, 3).detach()
    lengths = [5, 2, 1]
    clean = ours(rnn_utils.pack_padded_sequence(x, lengths))
    for row, length in enumerate(lengths):
        x[length:, row] = float("nan")
    assert_near(ours(rnn_utils.pack_padded_sequence(x, lengths)), clean)


@EACH
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_packed_input_of_other_types(kind: str, dtype: str) -> None:
    ours, theirs = pair(kind, 3, 4, 2, bidirectional=True)
    ours, theirs = ours.to(getattr(torch, dtype)), theirs.to(getattr(torch, dtype))
    assert_same(ours, theirs, packed_input(ours, [2, 5, 1, 5]), states(ours, 4))


@EACH
def test_packed_without_gradients(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, 2, bidirectional=True)
    packed = packed_input(ours, [2, 5, 1])
    for without in (torch.no_grad, torch.inference_mode):
        with without():
            assert_near(ours(packed), theirs(packed))
            assert not ours(packed)[0].data.requires_grad
    ours.requires_grad_(False), theirs.requires_grad_(False)
    assert_same(ours, theirs, packed)
    constant = packed._replace(data=packed.data.detach())
    assert_same(ours, theirs, constant)
    assert_same(ours, theirs, constant, states(ours, 3))


@EACH
def test_packed_second_gradients(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, bidirectional=True)
    packed, hx = packed_input(ours, [2, 4, 1]), states(ours, 3)
    results = []
    for layer in (ours, theirs):
        leaves = [packed.data, *flat(hx), *layer.parameters()]
        first = gradients(flat(layer(packed, hx)), leaves, create_graph=True)
        results.append(gradients(first, leaves))
    assert_near(*results)


@EACH
def test_packed_dropout_draws_what_pytorch_draws(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, 3, dropout=0.4, bidirectional=True)
    packed = packed_input(ours, [2, 5, 1, 3])
    results = []
    for layer in (ours, theirs):
        torch.manual_seed(4)
        results.append([*flat(layer(packed)), torch.rand(2)])
    assert_near(*results)


@EACH
def test_packed_by_hand_and_by_pack_sequence(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, 2)
    data = random(6, 3)
    assert_same(ours, theirs, rnn_utils.PackedSequence(data, torch.tensor([3, 2, 1])))
    assert_same(
        ours, theirs, leaf(rnn_utils.pack_sequence([random(2, 3), random(4, 3)], enforce_sorted=False))
    )
    apart = torch.stack([data, data], 1)[:, 0]  # data that is not contiguous
    assert not apart.is_contiguous()
    sizes = torch.tensor([3, 2, 1])
    assert_near(
        ours(rnn_utils.PackedSequence(apart, sizes)), theirs(rnn_utils.PackedSequence(apart, sizes)), 1e-12
    )


@EACH
def test_wrong_packed_input_is_refused_in_pytorchs_words(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4, 2)
    packed = packed_input(ours, [2, 5, 1])
    wrong: list[tuple[Any, ...]] = [
        (packed._replace(data=packed.data[:, :2]),),
        (packed.float(),),
        (packed, states(ours, 2)),
        (packed._replace(data=packed.data[:, None]),),
    ]
    for arguments in wrong:
        with pytest.raises((RuntimeError, ValueError)) as told:
            theirs(*arguments)
        with pytest.raises(type(told.value)) as said:
            ours(*arguments)
        assert str(said.value) == str(told.value)
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        ours(packed, states(ours, None))


def test_packed_projections() -> None:
    ours, theirs = pair("LSTM", 3, 5, 2, bidirectional=True, proj_size=2)
    assert_same(ours, theirs, packed_input(ours, [2, 5, 1]), states(ours, 3))


@pytest.mark.parametrize("kind", some(KINDS, 2))
def test_many_packed_sequences_of_all_lengths(kind: str) -> None:
    lengths = torch.randint(1, 30, (33,), generator=torch.Generator().manual_seed(0)).tolist()
    ours, theirs = pair(kind, 17, 19, 2, bidirectional=True)
    assert_same(ours, theirs, packed_input(ours, lengths), states(ours, 33))
    assert_same(ours.float(), theirs.float(), packed_input(ours, lengths), states(ours, 33))


@beyond_nn
@pytest.mark.parametrize(
    ("lengths", "dropout", "is_packed"),
    [([5], 0.0, False), ([4, 4, 4], 0.0, False), ([4, 4, 3], 0.0, False), ([4, 4, 3], 0.5, True)],
)
def test_small_packed_sequences_run_as_dense_ones(
    lengths: list[int], dropout: float, is_packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bptt.torch import operator

    ran, run = list[Any](), operator.run

    def noted(how: Any, *rest: Any) -> Any:
        ran.append(how.batch_sizes)
        return run(how, *rest)

    monkeypatch.setattr(operator, "run", noted)
    ours, theirs = pair("LSTM", 3, 4, 2, dropout=dropout)
    if dropout:  # which is drawn for each row that there is
        ours(packed_input(ours, lengths), states(ours, len(lengths)))
    else:
        assert_same(ours, theirs, packed_input(ours, lengths), states(ours, len(lengths)))
    assert ran
    assert all((sizes is not None) == is_packed for sizes in ran)


@pytest.mark.parametrize("kind", some(KINDS, 2))
def test_large_packed_sequences_stay_packed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from bptt.kernels.cell import rows

    monkeypatch.setattr(rows, "FEW", 0)
    ours, theirs = pair(kind, 5, 7, 2, bidirectional=True)
    assert_same(ours, theirs, packed_input(ours, [3, 6, 1, 4]), states(ours, 4))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [[4, 4], [6, 3, 2]])
def test_autocast_gives_the_type_that_pytorch_gives(kind: str, lengths: list[int]) -> None:
    ours, theirs = (layer.float() for layer in pair(kind, 3, 4))
    with torch.autocast("cpu", torch.bfloat16):
        found, wanted = (layer(packed_input(ours, lengths)) for layer in (ours, theirs))
    assert found[0].data.dtype == wanted[0].data.dtype
    torch.testing.assert_close(found[0].data, wanted[0].data, rtol=0.05, atol=0.05)
