"""Forwards in many styles are the cell that they are; what is like a cell and is none has no name."""

import ast
from dataclasses import replace
from itertools import product

import pytest

from bptt.checking.cells import Match, recognise
from bptt.checking.cells.match import senses
from bptt.derive import EquationCell, Equations, read
from bptt.zoo.equations import ZOO
from recorded_code import Style, forward, recorded

BOTH = (False, True)
STYLES = [
    Style(layout, packed, joined)
    for layout, packed, joined in product(("rows", "columns", "vectors"), BOTH, BOTH)
]
ALIKE = {"lstm-no-bias": "lstm", "lstm-chrono": "lstm"}
CELLS = [name for name in ZOO if name not in ALIKE]


@pytest.mark.parametrize("name", ZOO)
def test_a_cell_is_recognised_however_it_is_written(name: str) -> None:
    eq = ZOO[name].equations
    unwritten = [s.name for s in eq.statements if not s.written]
    for style in STYLES[list(ZOO).index(name) % 3 :: 3]:
        found = recognise(recorded(forward(eq, style)))
        assert found is not None, style
        assert found.cell == ALIKE.get(name, name)
        for value in found.bound:
            text = f"s_{value.removesuffix('_prev')}" if value in eq.before else f"v_{value}"
            known = [t for t, _ in found.bound[value].texts]
            assert text in known or value in unwritten, (style, value, known)


@pytest.mark.parametrize("name", CELLS)
def test_no_cell_is_taken_for_another_even_if_there_is_no_other(name: str) -> None:
    for style in (
        Style(),
        Style("columns", packed=True),
        Style(joined=True),
        Style("vectors"),
    ):
        records = recorded(forward(ZOO[name].equations, style))
        for other in CELLS:
            if other != name:
                assert recognise(records, [ZOO[other]]) is None, (style, other)


def mutants(eq: Equations) -> list[Equations]:
    """Return the equations with one slip each: another function, sign or name, a term left out."""
    found = []
    for k, s in enumerate(eq.statements):
        texts = {ast.unparse(s.expr)}
        for node in ast.walk(ast.parse(ast.unparse(s.expr))):
            text, whole = ast.unparse(node), ast.unparse(s.expr)
            if isinstance(node, ast.BinOp):
                left, right = ast.unparse(node.left), ast.unparse(node.right)
                texts |= {whole.replace(text, left), whole.replace(text, f"({left} * ({right}) ** 2)")}
            if isinstance(node, ast.Call):
                texts |= {
                    whole.replace(text, f"{f}({ast.unparse(node.args[0])})") for f in ("sigmoid", "abs")
                }
        for text in sorted(texts - {ast.unparse(s.expr)}):
            changed = replace(s, expr=ast.parse(text, mode="eval").body)
            found.append(replace(eq, statements=(*eq.statements[:k], changed, *eq.statements[k + 1 :])))
    return found


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_with_one_slip_has_no_name(name: str) -> None:
    changed = mutants(ZOO[name].equations)
    for eq in changed[:: 1 + len(changed) // 10]:
        found = recognise(recorded(forward(eq, Style())))
        assert found is None, [(s.name, ast.unparse(s.expr)) for s in eq.statements]


GRU = """
Wr, Wz, Wn, Ur, Uz, Un, br, bm = R(3, 5), R(3, 5), R(3, 5), R(5, 5), R(5, 5), R(5, 5), R(5), R(5)
xs, h = R(4, 2, 3), np.zeros((2, 5))
for x in xs:
    r = sigmoid(x @ Wr + h @ Ur + br)
    z = sigmoid(x @ Wz + h @ Uz)
    n = np.tanh(x @ Wn + REST)
    h = MIX
"""
LSTM = """
W, U, b = R(3, 20), R(5, 20), R(20)
pi, Wc, xs, h, c = R(5), R(5, 5), R(4, 2, 3), np.zeros((2, 5)), np.zeros((2, 5))
for x in xs:
    A = x @ W + h @ U + b
    s = sigmoid(A[:, :15])
    f, i, o = s[:, :5], s[:, 5:10], s[:, 10:]
    g = np.tanh(A[:, 15:])
    c = f * c + i * g
    h = o * np.tanh(c)
"""


def gru(rest: str = "r * (h @ Un + bm)", mix: str = "(1 - z) * h + z * n") -> str:
    return GRU.replace("REST", rest).replace("MIX", mix)


def found_in(code: str) -> Match | None:
    return recognise(recorded(code))


@pytest.mark.parametrize(
    "code",
    [
        gru("z * r * (h @ Un + bm)"),
        gru("r * (h @ Un + x @ Wr)"),
        gru("r * (h @ Un) + h @ Ur"),
        gru("(r * h) @ Un + h @ Ur"),
        gru(mix="(1 - z) * h + z * n + h"),
        gru(mix="z * r + (1 - z) * n"),
        LSTM.replace("+ b", "+ b + np.hstack([c @ Wc] * 4)"),
        LSTM.replace("    s =", "    A = (A - A.mean(1, keepdims=True)) / A.std(1, keepdims=True)\n    s ="),
        LSTM.replace("A[:, 15:])", "A[:, 15:] + pi * c)"),
        LSTM.replace("h = o * np.tanh(c)", "h = (o * np.tanh(c)) @ Wc"),
        LSTM.replace("f * c + i * g", "np.array([[1.0], [0.0]]) * (f * c + i * g)"),
        "W, M = R(3, 5), R(4, 5, 5)\nh = R(6, 3) @ W\nfor U in M:\n    h = np.tanh(h @ U)\n",
        "W, U = R(3, 5), R(5, 5)\nfor x in R(4, 2, 3):\n    h = np.tanh(np.tanh(x @ W) @ U)\n",
    ],
)
def test_what_is_like_a_cell_has_no_name(code: str) -> None:
    assert found_in(code) is None


def test_the_gradients_are_in_the_sense_and_the_names_of_the_code() -> None:
    found = found_in(gru(mix="h + z * (n - h)"))
    assert found is not None
    assert found.sentence().endswith("n = tanh(x_n + r * u_n), h = (1 - z) * h_prev + z * n")
    assert found.equation("z") == "dz = dh * (n - h_prev)"
    assert (found.equation("Un"), found.equation("br")) == (
        "d(Un) += h.T @ du_n",
        "d(br) += da_r, summed over examples",
    )
    assert (found.equation("xs"), found.equation("a")) == (None, None)


@pytest.mark.parametrize("name", ["gru", "gru-cho", "mgu", "ugrnn", "lstm-coupled"])
def test_a_gate_may_be_the_opposite_of_the_paper_s(name: str) -> None:
    (opposite,) = [*senses(ZOO[name].equations)][1:]
    found = recognise(recorded(forward(opposite, Style("columns"))))
    assert found is not None
    texts = [[ast.unparse(s.expr) for s in eq.statements] for eq in (found.equations, opposite)]
    assert (found.cell, texts[0]) == (name, texts[1])


def test_gates_side_by_side_have_one_matrix() -> None:
    found = found_in(LSTM)
    assert found is not None
    assert found.equation("W") == "d(W) += x.T @ [da_f, da_i, da_o, da_g]"
    assert found.equation("A[:, :15]", 6) == (
        "da_i = di * i * (1 - i); da_f = df * f * (1 - f); da_o = do * o * (1 - o)"
    )
    assert found.equation("np.tanh(c)") == "dtanh_c = dh * o"
    sliced = LSTM.replace("s = sigmoid(A[:, :15])", "s = A").replace("f, i, o =", "f, i, o = map(sigmoid, (")
    found = found_in(sliced.replace("s[:, 10:]", "s[:, 10:15]))"))
    assert found is not None
    assert found.equation("U") == "d(U) += h.T @ [da_f, da_i, da_o, da_g]"
    transposed = LSTM.replace("R(5, 20)", "R(20, 5)").replace("h @ U", "h @ U.T")
    found = found_in(transposed)
    assert found is not None
    assert str(found.equation("U")).endswith("da_g].T @ h")


def test_a_cell_of_one_s_own() -> None:
    text = """
@bptt.cell(state="h")
def leaky(a_h, a_k, h, keep=0.9):
    k = sigmoid(a_k)
    h = keep * h + (1 - keep) * k * tanh(a_h)
    return h
"""
    own = EquationCell(read(text, name="leaky"))
    records = recorded(forward(own.equations, Style("columns"), keep=0.9))
    assert recognise(records) is None
    found = recognise(records, [*ZOO.values(), own])
    assert found is not None
    assert (found.cell, found.equation("v_k")) == ("leaky", "dk = dh * np.tanh(a_h) * (1 - keep)")
    assert recognise(recorded(forward(own.equations, Style("columns"), keep=0.8)), [own]) is None
