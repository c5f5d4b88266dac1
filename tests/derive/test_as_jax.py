"""A step as a jax.custom_vjp: its text, run in NumPy under JAX's names, and in JAX where there is one."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import bptt
from bptt.derive import EquationCell, page
from bptt.derive.as_jax import module
from bptt.derive.describe import describe
from bptt.derive.printed import prove_vjp
from bptt.derive.proof import ProofError
from shaped_cells import CELLS

STEPS = [
    *(
        bptt.zoo.load(name)
        for name in ("rnn", "gru-cho", "lstm-peephole", "deltanet", "lstm-detached", "lstm-mogrifier")
    ),
    *CELLS,
]


@pytest.mark.parametrize("cell", STEPS, ids=lambda cell: cell.name)
def test_the_text_is_proven(cell: EquationCell) -> None:
    made = describe(cell)
    assert prove_vjp(module(made), made, cell).error < 1e-12


def test_the_backward_is_as_people_write_it() -> None:
    text = page(bptt.zoo.load("lstm"), "jax")
    for line in (
        "a_i, a_f, a_o, a_g = jnp.split(x @ W + h_prev @ U + b, 4, axis=-1)",
        "i = jax.nn.sigmoid(a_i)  # (1)",
        "da = jnp.concatenate([da_i, da_f, da_o, da_g], axis=-1)",
        "dh_prev = da @ U.T",
        "dW = x.T @ da",
        "lstm_step.defvjp(lstm_step_forward, lstm_step_backward)",
    ):
        assert line in text, line


def test_a_fault_in_a_line_is_refused() -> None:
    cell = bptt.zoo.load("lstm")
    made = describe(cell)
    text = module(made)
    for right, wrong in (("dW = x.T @ da", "dW = 2 * x.T @ da"), ("do = dh * tanh_c", "do = dh")):
        assert right in text
        with pytest.raises(ProofError):
            prove_vjp(text.replace(right, wrong), made, cell)


@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not here")
@pytest.mark.parametrize("cell", STEPS, ids=lambda cell: cell.name)
def test_it_checks_itself_in_jax(cell: EquationCell, tmp_path: Path) -> None:
    file = tmp_path / "step_jax.py"
    file.write_text(page(cell, "jax"), encoding="utf-8")
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "from those that JAX derives" in done.stdout
