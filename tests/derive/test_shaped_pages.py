"""Pages and printed code of cells with values over heads, units and keys, several operands, more inputs."""

import re
import sys
from dataclasses import replace

import pytest
from sympy import Mul

from bptt.derive import EquationCell, page, read
from bptt.derive.blocks import Block
from bptt.derive.describe import describe
from bptt.derive.printed import prove_function, prove_module, prove_page
from bptt.derive.proof import ProofError
from pages import run
from planted import planted
from sampling import some
from shaped_cells import CELLS

BY_NAME = {cell.name: cell for cell in CELLS}
PAGES = [(n, f) for k, f in enumerate(("text", "latex", "markdown", "html")) for n in some(BY_NAME, 2, k)]
names = pytest.mark.parametrize("name", BY_NAME)


@pytest.mark.parametrize(("name", "format"), PAGES)
def test_a_page_has_each_line_and_the_figure_of_its_proof(name: str, format: str) -> None:
    text = " ".join(page(BY_NAME[name], format).split())
    found = re.search(r"summed, is ([\d.e+-]+);", text)
    assert found is not None
    assert float(found[1]) < 1e-12
    assert not re.search("sum_unit|sum_key|sum_head|size_unit|size_key|ones_unit", text)


LINES = {
    "mlstm": [
        "The H units are in 2 heads of J = H / 2; each has K = 5 keys.",
        "for each unit and key of each head (H K): C",
        "W_k and W_q (D, 2 K)",
        "they have indices: j counts the units of each head, l the keys.",
        "C[j,l] = f C_prev[j,l] + i x_v[j] x_k[l]",
        "sum_1[j] = Σ_l C[j,l] x_q[l] sum_2 = Σ_l n[l] x_q[l]",
        "max_1 = max(|sum_2|, 1) h[j] = σ(x_o[j]) sum_1[j] / max_1",
        "df = Σ_l dn[l] n_prev[l] + Σ_j Σ_l dC[j,l] C_prev[j,l]",
        "dx_k[l] = dn[l] i + i Σ_j dC[j,l] x_v[j]",
        "18 + H K + 3 H + 6 K floats per step and row",
    ],
    "norm": [
        "mean_c = (Σ_j c[j]) / H d[j] = c[j] - mean_c",
        "sqrt_1 = √(mean_1 + 1e-05)",
        "dmean_1 = -(Σ_j dratio_1[j] ratio_1[j]) / (2 sqrt_1²)",
        "dmean_c = -Σ_j dd[j] dc[j] = dc_next[j] + dd[j] + dmean_c / H",
    ],
    "ordered": [
        "mf[j] = (Σ_{l≤j} cumsoftmax_e[l]) / (Σ_l cumsoftmax_e[l])",
        "(Σ_{l≥j} dmf[l] - Σ_l dmf[l] mf[l]) / (Σ_l cumsoftmax_e[l])",
    ],
    "projected": ["u_h = m U_h", "dm = du_h U_hᵀ", "dU_h = Σ mᵀ du_h", "U_g (K, H); U_h (H, K)"],
    "deep": ["ds2 = dh (1 - t3) + du_r3 U_r3ᵀ + du_t3 U_t3ᵀ", "dU_u_t = Σ s1ᵀ du_t"],
    "timed": [
        "t and z are given at each step",
        "dt = -Σ_j dk[j] softplus(z[j]) k[j]",
        "dx = da_h z + da_h W_hᵀ",
    ],
    "context": ["u_s = s_prev U_s", "ds_prev = du_s U_sᵀ + ds al", "dal = Σ Σ_k ds[k] (s_prev[k] - x_s[k])"],
    "odd": [
        "max_i(h_prev[i]) Σ_i u[i] + 0.1 Σ_i Σ_{v≤i} h_prev[v]",
        "(Σ_i u[i]) (Σ_i dh[i]) [max_i(h_prev[i]) ≤ h_prev[j]]",
    ],
}


@names
def test_what_goes_over_an_axis_is_written_as_people_write_it(name: str) -> None:
    text = " ".join(page(BY_NAME[name]).split())
    for line in LINES[name]:
        assert line in text, line


def test_latex_has_sums_with_an_index() -> None:
    text = page(BY_NAME["ordered"], "latex")
    sums = r"\frac{\sum_{l \leq j} \mathrm{cumsoftmax}_{e,t,\,l}}{\sum_{l} \mathrm{cumsoftmax}_{e,t,\,l}}"
    assert sums in text
    assert r"\max_{l}(a_{\mathrm{mf},t,\,l})" in text


SAME = {  # what is no fault: it cancels in a softmax, or is another name of the same
    "ordered": ["cumsoftmax_e_1 = 2*exp(a_mi - stop(max_unit(a_mi)))"],
    "context": ["dx_s = ds_next*(1 - al)", "ds_prev = al*ds_next + product(du_s, U_s)"],
    "odd": ["softmax_e = -exp(u - stop(max_unit(u)))"],
}


@names
def test_a_fault_in_any_line_of_such_a_page_is_refused(name: str) -> None:
    missed = []
    made = describe(BY_NAME[name])
    for what, wrong in planted(made, every=False):
        try:
            prove_page(wrong, BY_NAME[name])
        except ProofError:
            continue
        missed.append(what.partition(": ")[2])
    assert missed == SAME.get(name, [])


@names
def test_a_module_of_such_a_cell_runs_by_itself(name: str) -> None:
    assert run(page(BY_NAME[name], "numpy")) < 1e-13


def test_arrays_have_two_axes_where_that_will_do() -> None:
    for cell in CELLS:
        text = page(cell, "numpy")
        assert ("by_unit(" in text) == (cell.name in ("mlstm", "projected", "context"))


@pytest.mark.parametrize("name", some(BY_NAME, 3))
def test_a_fault_in_a_module_of_such_a_cell_is_refused(name: str) -> None:
    cell, made = BY_NAME[name], describe(BY_NAME[name])
    text = page(cell, "numpy")
    start, end = text.index("def step_backward"), text.index("def forward")
    lines = [
        m for m in re.finditer(r"^    (d\w+) = (.*?)(  #.*)?$", text, re.MULTILINE) if start < m.start() < end
    ]
    some = [m for m in lines if m[2] != "{" and "zeros" not in m[2]]
    assert len(some) > 5
    for found in some[:: max(1, len(some) // 6)]:
        at = found.span(2)
        with pytest.raises(ProofError):
            prove_module(f"{text[: at[0]]}-({found[2]}){text[at[1] :]}", made, cell)


def test_a_gradient_that_is_the_same_along_an_axis_meets_its_matrix_whole() -> None:
    """What is at a gate is one number for each head, and the gate has units."""
    text = """
@bptt.cell(state="h c", heads=2, sizes={"key": "unit"}, shapes={"c": "unit key", "x_k": "key"}, params="p",
           operand={"u_q": "q"})
def mine(a_h, x_k, u_q, c, p):
    q = 2 * p
    c = 0.5 * c + a_h * x_k
    h = tanh(sum(c, key)) + sum(a_h) * mean(u_q) + max(x_k, key)
    return h, c
"""
    cell = EquationCell(read(text))
    shown = " ".join(page(cell).split())
    assert "J = H / 2; each has as many keys as units" in shown
    assert "(H J): c" in shown
    assert run(page(cell, "numpy")) < 1e-13


def test_a_row_that_is_summed_once_too_often_is_no_page() -> None:
    made = describe(BY_NAME["timed"])
    sections = []
    for section in made.sections:
        parts = []
        for part in section.parts:
            if isinstance(part, Block) and part.role == "backward":
                lines = [
                    replace(x, right=Mul(2, x.right, evaluate=False)) if str(x.left) == "dt" else x
                    for x in part.lines
                ]
                part = replace(part, lines=tuple(lines))
            parts.append(part)
        sections.append(replace(section, parts=tuple(parts)))
    with pytest.raises(ProofError, match="the printed gradient at t is off by"):
        prove_page(replace(made, sections=tuple(sections)), BY_NAME["timed"])


@names
def test_a_step_of_such_a_cell_checks_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = page(BY_NAME[name], "torch")
    assert "bptt" not in text
    pytest.importorskip("torch")
    exec(compile(text, "printed", "exec"), {"__name__": "__main__"})  # by autograd and by gradcheck
    assert float(capsys.readouterr().out.rsplit(":", 1)[1]) < 1e-13


@pytest.mark.parametrize("name", some(BY_NAME, 3, 1))
def test_a_fault_in_a_step_of_such_a_cell_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    cell, made = BY_NAME[name], describe(BY_NAME[name])
    text = page(cell, "torch")
    start = text.index("    def backward(ctx")
    lines = list(re.finditer(r"^        (d\w+) = (.*?)( if ctx.*)?(  #.*)?$", text, re.MULTILINE))
    some = [m for m in lines if start < m.start() and not m[2].startswith(f"{m[1]}.unflatten")]
    assert len(some) > 5
    for found in some[:: max(1, len(some) // 6)]:
        at = found.span(2)
        with pytest.raises(ProofError):
            prove_function(f"{text[: at[0]]}-({found[2]}){text[at[1] :]}", made, cell)


def test_the_columns_of_an_operand_with_its_own_matrix_are_told() -> None:
    text = page(BY_NAME["projected"], "torch")
    assert "ProjectedStep.apply(x, h_prev, c_prev, W, U, U_m, b)" in text
    assert "U_m (H, 3)" in text


ODD = {
    "delta": """
@bptt.cell(state="h S", heads=2, sizes={"key": "unit"}, shapes={"S": "unit key", "x_k x_q": "key",
           "x_b": "head"})
def f(x_v, x_k, x_q, x_b, S):
    k = x_k / sqrt(sum(x_k * x_k, key) + 1e-6)
    S = S + sigmoid(x_b) * (x_v - sum(S * k, key)) * k
    h = sum(S * x_q, key)
    return h, S
""",
    "same-along": """
@bptt.cell(state="h s", sizes={"key": 3}, shapes={"s x_k": "key", "p": "unit key"}, params={"p": (-1, 1)})
def f(a_h, x_k, s, p):
    w = where(a_h * p > 0, tanh(x_k), 1.25)
    s = s / 2 + sum(w)
    h = tanh(a_h) + sum(s, key)
    return h, s
""",
    "matgate": """
@bptt.cell(state="h", heads=1, sizes={"key": 2}, shapes={"h a_f": "unit key"})
def f(a_f, a_v, h):
    h = sigmoid(a_f) * h + tanh(a_v) * softmax(h, key)
    return h
""",
    "keyonly": """
@bptt.cell(state="h", heads=2, sizes={"key": 3}, shapes={"h a_f": "key"})
def f(a_f, a_v, h):
    h = tanh(a_f) * mean(a_v) + 0.5 * max(h, key)
    return h
""",
    "headstate": """
@bptt.cell(state="h m", heads=2, shapes={"m": "head"}, operand={"u_z": "m_prev"}, scalars={"s": 0.5},
           start={"m": 0.3})
def f(a_f, u_z, h, m, s):
    m = s * m + max(a_f)
    h = tanh(a_f + u_z) - stop(m) + surrogate(floor(a_f), 0.3, a_f)
    return h, m
""",
    "names": """
@bptt.cell(state="y c", params="flat J", heads=2, sizes={"key": 2}, shapes={"c K a_p": "key"},
           inputs="K j dy_")
def f(a_x, a_p, y, c, flat, J, K, j, dy_, by_unit=0.5):
    size = sum(a_x) * by_unit
    by_key = max(K, key) + J * dy_
    c = c * K + size * tanh(a_p)
    y = tanh(a_x + flat * y) * by_key + sum(c, key) * j
    return y, c
""",
    "elem": """
@bptt.cell(state="h c", inputs="keep step x")
def f(a_f, a_g, h, c, keep, step, x):
    f = sigmoid(a_f)
    c = where(keep > 0.5, c, f * c + (1 - f) * tanh(a_g))
    h = tanh(c) * step + x * h
    return h, c
""",
    "statelow": """
@bptt.cell(state="h c")
def f(a_f, a_g, h, c):
    c = mean(c) + 0.1 * sum(a_g)
    h = tanh(a_f) + c
    return h, c
""",
    "where": """
@bptt.cell(state="h m", heads=2, shapes={"m a_m": "head"})
def f(a_f, a_m, m):
    r = where(a_m > m, 1, 0) + where(sum(a_f) > 0, 2, 3)
    m = m * 0.5 + where(m > 0, a_m, 1)
    h = tanh(a_f) * r * m
    return h, m
""",
    "late-units": """
@bptt.cell(state="h S", heads=2, sizes={"key": "unit"}, bias=False, operand={"u_v": "q", "u_k": "q"},
           shapes={"S": "unit key", "u_k": "key"})
def f(x, u_v, u_k, S):
    q = tanh(x)
    S = S / 2 + u_v * u_k
    h = sum(S, key) - mean(u_v)
    return h, S
""",
    "output-by-name": """
@bptt.cell(state="h m k", sizes={"key": 3}, shapes={"m u_A u_B": "key", "k u_f": "row"},
           operand={"u_A": "m_prev", "u_f": "h_prev", "u_B": "f", "u_h": "m"})
def f(a_h, a_z, u_A, u_B, u_f, u_h, h, m, k):
    k = k + 1
    f = u_f
    m = m - (u_A - u_B) / (1 + k * k)
    h = (1 - sigmoid(a_z)) * h + sigmoid(a_z) * tanh(a_h + u_h)
    return h, m, k
""",
    "late-input": """
@bptt.cell(state="h", operand={"a_1": "q"}, shapes={"a_1": "key"}, sizes={"key": 2})
def f(a_0, a_1, x, h):
    q = tanh(a_0 + h)
    return sum(tanh(a_1) * q, key) + x * q
""",
    "constop": """
@bptt.cell(state="h", heads=2, params={"p": 0.5}, operand={"u_h": "q"}, shapes={"p": "head"})
def f(a_h, u_h, h, p):
    q = p * 2
    h = tanh(a_h + u_h) * h
    return h
""",
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_particular_to_shapes_is_printed_in_every_form(name: str) -> None:
    cell = EquationCell(read(ODD[name], name=name))
    for format in some(("text", "torch", "latex", "html"), 1, [*ODD].index(name)):
        assert page(cell, format)
    assert run(page(cell, "numpy")) < 1e-11


def test_keys_that_are_as_many_as_units_tell_how_many() -> None:
    text = """
@bptt.cell(state="h", heads=3, sizes={"key": "unit"},
           shapes={"h u_2": "unit key", "a_0": "key", "a_1": "head"})
def told(a_0, a_1, u_2, h):
    h = mean(h) + tanh(a_0) + tanh(a_1) + 0.3 * u_2
    return h
"""
    squares = text.replace('"a_0": "key", "a_1": "head"', '"a_0 a_1": "unit key"')
    for one in (text, squares, squares.replace("heads=3, ", "")):
        for form in ("torch", "jax"):
            page(EquationCell(read(one)), form)


def test_values_may_be_called_as_a_module_calls_its_own() -> None:
    text = """
@bptt.cell(state="step states", inputs="at_t", params="outputs given")
def told(a_h, step, states, at_t, outputs, given):
    states = outputs * states + tanh(a_h) * at_t
    step = tanh(states) + given * step
    return step, states
"""
    for form in ("numpy", "torch", "jax"):
        page(EquationCell(read(text)), form)


@pytest.mark.parametrize("form", ["torch", "jax", "numpy"])
def test_a_gate_over_keys_that_an_operand_feeds_is_printed(form: str) -> None:
    """Its input's part has keys, too."""
    text = """
@bptt.cell(state="h", sizes={"key": 3}, shapes={"a_v": "unit key"}, operand={"a_v": "q"})
def fed(a_q, a_v, h):
    q = tanh(a_q)
    h = sum(tanh(a_v), key) + h / 2
    return h
"""
    page(EquationCell(read(text)), form)


def test_no_factor_is_one_whose_numbers_make_one() -> None:
    text = """
@bptt.cell(state="h", sizes={"key": 3}, shapes={"a_k": "key"})
def fifths(a_h, a_k, h):
    h = a_h - 0.2 * h * sum(a_k ** 5, key)
    return h
"""
    assert "da_k[l] = -(Σ_j dh[j] h_prev[j]) a_k[l]⁴" in page(EquationCell(read(text)))
