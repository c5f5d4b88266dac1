"""What pages say of matrices that are made of others, and what the option ``maps=`` refuses."""

import ast
import pickle
import re
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive import matrices, read
from bptt.derive.equations import EquationError
from bptt.derive.proof import ProofError
from bptt.errors import ConfigError
from bptt.zoo import record
from mapped_cells import CELLS, LSTM, MAPPED_LSTM, made


def test_a_page_shows_maps_and_their_pullbacks() -> None:
    page = bptt.derive.page(MAPPED_LSTM)
    before, after = page.index("The matrices"), page.index("Back through the maps")
    assert before < page.index("One step forward") < page.index("The sums over time") < after
    lines = [
        "U_k = M_k - M_kᵀ - 0.1 I    for k = f, i", "U_o = left_o right_o", "W_g = tanh(M_g)",
        "W_o is W_f, the same matrix.", "dM_k = dU_k - dU_kᵀ    for k = f, i", "dleft_o = dU_o right_oᵀ",
        "dright_o = left_oᵀ dU_o", "dM_g = dW_g ∘ (1 - W_g ∘ W_g)",
        "The gradient at W_f is dW_f + dW_o, for both of its uses.",
    ]  # fmt: skip
    for line in lines:
        assert line in page, line


def test_a_page_says_of_which_gates_a_whole_matrix_is() -> None:
    page = bptt.derive.page(CELLS[1])
    for line in ("U = left right", "W is made by code, Cubed.", "U is U_r, U_z and U_n, side by side."):
        assert line in page, line
    single = made("def cell(a_h):\n    return tanh(a_h)", maps={"W": "low_rank(2)"})
    assert "W_h = left right" in bptt.derive.page(single)


def test_every_form_prints_maps() -> None:
    maps = {"a_i": "cayley(0.5)", "a_o": "householder(2)", "W.a_i": "M**2 / 3"}
    for cell in [*CELLS[:3], made(LSTM, state="h c", maps=maps)]:
        latex = bptt.derive.page(cell, "latex")
        assert r"\section*" in latex
        for form in ("html", "markdown", "numpy"):
            assert bptt.derive.page(cell, form)
    assert r"A_{i} &= M_{i} - M_{i}^{\top}" in latex
    assert r"\mathrm{d}M_{i} &= \mathrm{d}A_{i} - \mathrm{d}A_{i}^{\top}" in latex
    assert r"\mathrm{D}\operatorname{reflections}(V_{o})^{\top}[\mathrm{d}U_{o}]" in latex
    assert r"\mathrm{d}E_{i} &= \mathrm{d}U_{i} \, D_{i}^{\top} \, (I - A_{i})^{\top}" in latex
    assert "made of other arrays before the first step" in bptt.derive.page(MAPPED_LSTM, "numpy")


def test_a_line_that_is_printed_wrong_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = matrices.expression

    def turned(node: ast.expr, symbols: Any) -> Any:  # without what is transposed
        return right(node.value if isinstance(node, ast.Attribute) else node, symbols)

    monkeypatch.setattr(matrices, "expression", turned)
    cell = made(LSTM, state="h c", maps={"a_i": "antisymmetric(0.1)"})
    with pytest.raises(ProofError, match="as it is printed, is not what is run"):
        bptt.derive.page(cell)


def test_equations_with_maps_are_read_again_and_pickled() -> None:
    for cell in (MAPPED_LSTM, CELLS[0], *CELLS[2:]):
        text = cell.equations.text
        assert read(text, name=cell.name).text == text
        kept = record.from_json(record.to_json(cell))
        assert record.same(kept, cell)  # type: ignore[arg-type]
        assert pickle.loads(pickle.dumps(cell)).equations.text == text
    copied = pickle.loads(pickle.dumps(CELLS[1]))  # one of its maps is code
    assert copied.maps.keys() == CELLS[1].maps.keys()
    with pytest.raises(ConfigError, match="the map of W is code"):
        record.to_json(CELLS[1])


REFUSED: list[tuple[Any, str]] = [
    ("antisymmetric", "maps= must be matrices and maps"),
    ({3: "orthogonal"}, "maps= must be matrices and maps"),
    ({"a_x": "orthogonal"}, "maps= names 'a_x'; the matrices are U, W, U.a_i, U.a_f"),
    ({"W.u_i": "orthogonal"}, "the matrices are U, W"),
    ({"a_i a_i": "orthogonal"}, "U.a_i twice"),
    ({"a_i": "U.a_i"}, "which is that of another"),
    ({"a_i": "a_f", "a_f": "a_o"}, "which is that of another"),
    ({"U": "low_rank(2)", "a_i": "orthogonal"}, "U whole"),
    ({"a_i": 3}, "a map is a text"),
    ({"a_i": "nothing(M)"}, "has no place in it"),
]


@pytest.mark.parametrize(("maps", "says"), REFUSED, ids=range(len(REFUSED)))
def test_what_maps_cannot_be(maps: Any, says: str) -> None:
    with pytest.raises(EquationError, match=re.escape(says)) as error:
        made(LSTM, state="h c", maps=maps)
    assert "\n" not in str(error.value)


def test_a_wrong_map_is_refused_before_it_is_used() -> None:
    cell = made(LSTM, state="h c", maps={"a_i": (np.square, lambda M, d: M * d)})
    with pytest.raises(ConfigError, match="it is not the gradient"):
        bptt.Model(inputs=3, outputs=3, hidden=4, cell=cell).init(np.random.default_rng(0))


def test_arrays_in_equations_have_names_and_numbers() -> None:
    text = "A = array([[1.0, 2.0]]); B = array([[3.0, 4.0]]); M * sum(A, 1) + sum(B, 1) * M.T"
    page = bptt.derive.page(made("def cell(a_h):\n    return tanh(a_h)", maps={"a_h": text}))
    for line in ("A_h = array", "B_h = array_U", "array is [[1.0, 2.0]].", "array_U is [[3.0, 4.0]]."):
        assert line in page, line
    assert "D_1kron(B_h, E_h)" in bptt.derive.page(bptt.zoo.get("urnn"))  # it reads the array's shape


def test_where_nothing_is_learnt_a_page_says_so() -> None:
    page = bptt.derive.page(bptt.zoo.get("fast-weights"))
    assert "Matrices that are not learnt:" in page
    assert "U_n = I    for n = k, s" in page  # j counts units
    assert "Nothing of these matrices is learnt." in page
