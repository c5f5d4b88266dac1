"""Sequences as layers take them, whatever form they are given in."""

from typing import NamedTuple

import torch

from bptt.kernels.cell.rows import is_small
from bptt.torch.tensors import Tensor


class Batch(NamedTuple):
    """A sequence as layers take it: x (T, N, D), or (R, D) where it is packed; flags (T, N) or none."""

    x: Tensor
    mask: Tensor | None
    resets: Tensor | None
    batch_sizes: Tensor | None
    N: int
    beside: dict[str, Tensor]  # what the cell reads at each step beside x
    was_packed: bool = False  # and of unlike lengths


def unpacked(batch: Batch, size: int) -> tuple[Batch, Tensor | None]:
    """Return a packed batch without its packing, and at which steps its rows are then, if not at all.

    So it runs where sequences are equally long, as one alone is, and where layers of that size are small.
    """
    x, sizes, N = batch.x, batch.batch_sizes, batch.N
    assert sizes is not None
    T = len(sizes)
    if int(sizes[-1]) == N:
        return batch._replace(x=x.unflatten(0, (T, N)), batch_sizes=None, was_packed=False), None
    if not size or not is_small(T, N, size):
        return batch, None
    mask = torch.arange(N) < sizes.unsqueeze(1)
    rows = mask.flatten().nonzero().squeeze(1)
    padded = x.new_zeros(T * N, x.shape[1]).index_copy(0, rows, x)
    return batch._replace(x=padded.unflatten(0, (T, N)), mask=mask, batch_sizes=None), rows
