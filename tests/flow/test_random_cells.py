"""The flow of cells that nobody would write: names shared by all that has one, no U, units' weights.

Two judges, neither of which knows the cell's backward: the complex step through bptt.unroll, of the whole
Jacobian; and one step written out with the ways into it kept apart, of each path's.
"""

from collections.abc import Iterator

import numpy as np
import pytest

import bptt
from bptt.cells import Cell, States, blocks
from bptt.derive import EquationCell, read
from bptt.flow import jacobians, of_text, through_time
from bptt.flow.connections import all_connections
from bptt.types import Array, Params
from bptt.zoo.equations import ZOO
from flows import STEP, far, layer, numerical
from random_cells import Writer, random_cell

NAMES = ("h", "c", "z", "r", "q", "memory")
OUTSIDE = -1.5


def named_alike(seed: int) -> str:
    """Return the text of a cell whose gates, states, operand and parameters share their names."""
    rng = np.random.default_rng(seed)
    w = Writer(rng)
    states, ids = w.some(NAMES, 1, 4), w.some(NAMES, 2, 5)
    kinds = [("a_",), ("x_",), ("a_", "x_"), ("a_", "u_", "x_")][seed % 4]  # x_ alone: nothing is fed by U
    gates = [w.one(*kinds) + name for name in ids]
    taken = {gate.removeprefix("a_") for gate in gates} | set(states)
    params = [name for name in w.some((*NAMES, "p"), 0, 2) if name not in taken]
    late = [gate for gate in gates if gate[0] in "au"][1 : int(rng.integers(2, 4))]
    early = [gate for gate in gates if gate not in late]
    read = [state for state in states if rng.random() < 0.7]
    w.names = [*early, *params, *read]
    lines, operand = [], ""
    rest = list(states)
    if late:
        others = [name for name in (*NAMES, "v") if name not in (*states, *params)]
        q = w.one(*(states if len(states) > 1 else []), *others)
        operand = f", operand={dict.fromkeys(late, q)}"
        terms = [f"tanh({name})" for name in w.some((*early, *read), 1, 3)]
        lines.append(f"{q} = {w.bounded(1)} + {' + '.join(terms)}")
        rest = [state for state in states if state != q]
        w.names += [*late, q]
    for k, state in enumerate(rest):
        own = [*gates, *params][k :: len(rest)]
        lines.append(f"{state} = {' + '.join([w.bounded(2), *(f'0.7 * tanh({name})' for name in own)])}")
        w.names.append(state)
    kept = f", params={' '.join(params)!r}" if params else ""
    head = f"@bptt.cell(state={' '.join(states)!r}{kept}{operand})\n"
    head += f"def cell_{seed}({', '.join([*gates, *params, *read])}):\n"
    return head + "".join(f"    {line}\n" for line in [*lines, f"return {', '.join(states)}"])


def made(text: str) -> EquationCell:
    return EquationCell(read(text, known={"OUTSIDE": OUTSIDE}))


def drawn(cell: Cell, T: int) -> tuple[Params, Array, States]:
    rng = np.random.default_rng(6)
    states = tuple(rng.normal(size=(2, 3)) for _ in cell.states)
    return layer(cell, seed=5), rng.normal(size=(T, 2, 2)), states


def single(cell: Cell, params: Params, x: Array, states: States) -> Iterator[dict[tuple[str, ...], Array]]:
    """Yield each step's Jacobian (N, S, H, S, H) by each connection, by complex step of that one way."""
    H, S, N = len(params["U"]), len(cell.states), x.shape[1]
    at = {gate: k for k, gate in enumerate(cell.gates)}
    names = cell.from_h + cell.from_q
    fed = {gate: params["U"][:, k * H : (k + 1) * H] for k, gate in enumerate(names)}

    def product(a: Array, gate: str, operand: Array) -> Array:
        a = a.astype(complex)
        a[:, at[gate] * H : (at[gate] + 1) * H] += operand @ fed[gate]
        return a

    for x_t in x:
        a = np.zeros((N, len(cell.gates) * H))
        parts = blocks(x_t @ params["W"] + params.get("b", 0), len(cell.from_x)) if cell.from_x else []
        for gate, part in zip(cell.from_x, parts, strict=True):
            a[:, at[gate] * H : (at[gate] + 1) * H] = part
        for name in cell.units:
            a[:, at[name] * H : (at[name] + 1) * H] = params[name]
        for gate in cell.from_h:
            a = product(a, gate, states[0]).real
        early = a
        for gate in cell.from_q:
            a = product(a, gate, cell.operand(early, states)[0]).real
        ways = {c: np.zeros((N, S, H, S, H)) for c in all_connections(cell)}
        for way, out in ways.items():
            for s, unit in np.ndindex(S, H):
                moved = [state.astype(complex) for state in states]
                moved[s][:, unit] += STEP * 1j
                nudge = moved[0] - states[0]
                match way:
                    case ():
                        new = cell.forward(a.astype(complex), tuple(moved))[0]
                    case (gate,) if gate in cell.from_h:
                        new = cell.forward(product(a, gate, nudge), _complex(states))[0]
                    case (gate,):
                        q = cell.operand(early.astype(complex), tuple(moved))[0]
                        new = cell.forward(product(a, gate, 1j * q.imag), _complex(states))[0]
                    case (inner, gate):
                        q = cell.operand(product(early, inner, nudge), _complex(states))[0]
                        new = cell.forward(product(a, gate, 1j * q.imag), _complex(states))[0]
                out[:, :, :, s, unit] = np.stack([n.imag / STEP for n in new], axis=1)
        yield ways
        states = cell.forward(a, states)[0]


def _complex(states: States) -> States:
    return tuple(state.astype(complex) for state in states)


def error(cell: Cell, T: int = 4) -> float:
    """Return how far a cell's Jacobians are from the numerical ones: everything's and each path's."""
    params, x, states = drawn(cell, T)
    worst = far(jacobians(cell, params, x, states), numerical(cell, params, x, states))
    steps = list(single(cell, params, x, states))
    for path in through_time(cell, params, x, states).paths:
        kept = path.connections if path.name != "everything" else all_connections(cell)
        wanted = [np.eye(len(cell.states) * 3).reshape(1, len(cell.states), 3, len(cell.states), 3)]
        wanted[0] = np.repeat(wanted[0], x.shape[1], 0)
        for ways in reversed(steps):
            one = sum((ways[c] for c in kept), np.zeros_like(wanted[0]))
            wanted.append(np.einsum("nabcd,ncdef->nabef", wanted[-1], one))
        worst = float(np.maximum(worst, far(jacobians(cell, params, x, states, path.name), np.stack(wanted))))
    return worst


ALIKE = """
@bptt.cell(state="y z", operand={"a_y": "z"})
def alike(a_d, a_z, a_y, y, z):
    z = z + sigmoid(a_d) * (tanh(a_z) - z)
    y = tanh(a_y) + 0.5 * y
    return y, z
"""


def test_a_gate_and_a_state_of_one_name_both_in_the_operand() -> None:
    cell = made(ALIKE)
    assert error(cell) < 1e-12
    paths = through_time(cell, *drawn(cell, 2)[:2]).paths
    assert {"gate y", "gate d then y", "gate z then y"} <= {path.name for path in paths}


@pytest.mark.parametrize("seed", range(16))
def test_each_path_of_cells_with_shared_names_is_the_numerical_one(seed: int) -> None:
    assert error(made(named_alike(seed))) < 1e-10


@pytest.mark.parametrize("seed", range(6))
def test_each_path_of_random_cells_is_the_numerical_one(seed: int) -> None:
    assert error(made(random_cell(seed))) < 1e-10


def test_the_cells_with_shared_names_are_of_all_kinds() -> None:
    cells = [made(named_alike(seed)) for seed in range(16)]
    assert sum(bool({*cell.gates} & {*cell.states}) for cell in cells) > 2
    assert sum(bool(cell.from_q) for cell in cells) > 2
    assert sum(not cell.from_h + cell.from_q for cell in cells) > 2
    assert sum(bool(cell.units) for cell in cells) > 2
    assert any({*cell.equations.operand.values()} & {*cell.states} for cell in cells)


@pytest.mark.parametrize("name", ZOO)
def test_each_path_of_the_zoo_is_the_numerical_one(name: str) -> None:
    assert error(ZOO[name], T=3) < 1e-10


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("which", [0, 1])
def test_of_layers_in_both_directions(which: int, reverse: bool) -> None:
    """A text of as many tokens as lags is read whole, from zero."""
    cell, T = made(ALIKE), 6
    model = bptt.Model(inputs=5, outputs=5, hidden=3, cell=cell, layers=2, bidirectional=True)
    rng = np.random.default_rng(1)
    params, ids = model.init(rng, np.float64), rng.integers(5, size=T)
    params = {name: 2 * p for name, p in params.items()}
    flow = of_text(model, params, ids, rng=rng, lags=T, layer=which, reverse=reverse)
    x = ids[:, None]
    if which:
        below = [
            bptt.unroll(cell, bptt.layer_params(params, reverse=way), x, reverse=way).y
            for way in (False, True)
        ]
        x = np.concatenate(below, axis=-1)
    own = bptt.layer_params(params, which, reverse=reverse)
    zeros = (np.zeros((1, 3)), np.zeros((1, 3)))
    wanted = (numerical(cell, own, x[::-1] if reverse else x, zeros) ** 2).sum(axis=(3, 5)) / 3
    np.testing.assert_allclose(flow.squares[flow.whole], wanted, rtol=1e-10, atol=1e-24)
