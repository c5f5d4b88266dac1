"""Random programs over the whole notation: a few of what judge_cells.py judges by the thousand."""

import pytest

from bptt.derive.proof import ProofError, prove
from judge_cells import judge
from sampling import some
from whole_cells import cell_of

SEEDS = [2, 57, 85, 117, 142, 323, *range(1000, 1018)]
"""Some that found a fault, and others."""


@pytest.mark.parametrize("seed", some(SEEDS, 10))
def test_derived_run_through_time_and_printed(seed: int) -> None:
    assert judge(seed, kernels=False, printed=["numpy"] * (seed % 5 == 0)) == []


@pytest.mark.parametrize("seed", some(range(2000, 2006), 2))
def test_compiled(seed: int) -> None:
    assert judge(seed) == []


def test_a_wrong_derivative_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where several are the largest each got all of the gradient once."""
    real = "bptt.derive.backward._Known.back"
    cell = cell_of(0)
    monkeypatch.setattr(real, lambda self, s, dy: 2 * dy)
    with pytest.raises(ProofError):
        prove(cell.derivation)


def test_they_are_not_all_alike() -> None:
    texts = "".join(cell_of(seed).equations.text for seed in range(40))
    pieces = "sum( mean( max( softmax( cumsum( where( surrogate( stop( mod( bent( operand= inputs= scalars="
    for piece in [*pieces.split(), *"start= maps= shapes= bias=False 'row' %".split()]:  # noqa: SIM905
        assert texts.count(piece) >= 2, piece
