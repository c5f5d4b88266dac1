"""A derivation's page: what it says of each cell, that it reads as a hand-written one does, and its forms."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, page, read
from bptt.derive.names import latex_name
from bptt.zoo.equations import ZOO
from gradcheck import random_layer
from pages import EVERYTHING, run
from random_cells import random_cell

NAMES = list(ZOO)


@pytest.fixture(scope="module")
def everything() -> EquationCell:
    return EquationCell(read(EVERYTHING))


def lines(text: str, heading: str) -> list[str]:
    """Return the lines of mathematics under a heading of the page as text, without spaces around."""
    part = text.split(f"{heading}\n")[1].split("\n\n\n")[0]
    part = re.split(r"\n[^\n]+\n-{4,}\n", part)[0]
    return [line.strip() for line in part.splitlines() if " = " in line]


def test_the_lstm_reads_as_the_hand_written_one_does() -> None:
    text = page(ZOO["lstm"])
    assert lines(text, "One step forward") == [
        "a_k = x W_k + h_prev U_k + b_k    for k = i, f, o, g",
        "(1)   i = σ(a_i)",
        "(2)   f = σ(a_f)",
        "(3)   o = σ(a_o)",
        "(4)   g = tanh(a_g)",
        "(5)   c = f c_prev + i g",
        "(6)   h = o tanh(c)",
    ]
    assert [x for x in lines(text, "The same step backward") if x.startswith(("(", "d"))][:9] == [
        "dh = dy + dh_next",
        "(6)   do = dh tanh(c)    dc = dc_next + dh o (1 - tanh²(c))",
        "(5)   df = dc c_prev    di = dc g    dg = dc i    dc_prev = dc f",
        "(4)   da_g = dg (1 - g²)",
        "(3)   da_o = do o (1 - o)",
        "(2)   da_f = df f (1 - f)",
        "(1)   da_i = di i (1 - i)",
        "dh_prev = da_i U_iᵀ + da_f U_fᵀ + da_o U_oᵀ + da_g U_gᵀ",
        "dx = da_i W_iᵀ + da_f W_fᵀ + da_o W_oᵀ + da_g W_gᵀ",
    ]
    assert lines(text, "The sums over time") == [
        "dW_k = Σ xᵀ da_k    dU_k = Σ h_prevᵀ da_k    db_k = Σ da_k    for k = i, f, o, g"
    ]
    assert "reads i, f, o, g, c_prev and tanh(c): 6 H floats per step and row" in text


def test_the_last_step_and_an_inner_step_are_told_apart() -> None:
    inner, last = page(ZOO["lstm"]).split("The same step backward")[1].split("At the last step, t = T")
    assert "At an inner step, t < T" in " ".join(inner.split())
    assert "dc = dc_next + dh o (1 - tanh²(c))" in inner
    assert "dh = dy\n(6)   dc = dh o (1 - tanh²(c))\n" in last


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("rnn-relu", "da_h = dh [h > 0]"),
        ("indrnn", "(1)   dx_h = dh [h > 0]    dh_prev = dx_h u"),
        ("indrnn", "(1)   du = Σ dx_h h_prev"),
        ("lstm-peephole", "(4, 2, 1)  dc_prev = dc f + da_f p_f + da_i p_i"),
        ("lstm-peephole", "(4)   c = f c_prev + i g"),
        ("slstm", "(9)     dn = dn_next - dh h / n"),
        ("slstm", "dlog_f = df f + dm [log_f + m_prev > a_i]"),
        ("slstm", "dm_prev = dlog_f"),
        ("gru", "(4)   dh_prev = dh z + da_r U_rᵀ + da_z U_zᵀ + du_n U_nᵀ"),
        ("gru", "u_n = h_prev U_n"),
        ("gru-cho", "a_n = x W_n + q U_n + b_n"),
        ("gru-cho", "dq = da_n U_nᵀ"),
        ("gru-cho", "dU_n = Σ qᵀ da_n"),
        ("mgu", "(4, 2)  df = dh (n - h_prev) + dq h_prev"),
        ("ugrnn", "dg = dh (h_prev - c)"),
    ],
)
def test_what_is_particular_to_a_cell_is_written_as_people_write_it(name: str, line: str) -> None:
    assert line in page(ZOO[name])


def test_a_cell_without_biases_has_none_on_its_page() -> None:
    assert "b_k" not in page(ZOO["lstm-no-bias"])
    assert "b_" not in page(ZOO["lstm-no-bias"], "numpy")


def test_the_output_read_within_the_step_keeps_its_other_terms() -> None:
    cell = EquationCell(
        read('@bptt.cell(state="h c")\ndef f(a_h, c):\n    h = tanh(a_h)\n    c = c + h\n    return h, c')
    )
    text = page(cell)
    assert "dh = dy + dh_next + dc" in text
    assert "dh_prev = da_h U_hᵀ" in text


def test_the_operand_may_stand_below_the_gate_that_takes_it() -> None:
    text = "@bptt.cell(state='h', operand={'a_n': 'q'})\ndef f(a_r, a_n, h):\n    n = tanh(a_n)\n    "
    cell = EquationCell(read(text + "q = sigmoid(a_r) * h\n    h = h + n\n    return h"))
    assert "da_r = dq h_prev σ(a_r) (1 - σ(a_r))" in page(cell)
    assert run(page(cell, "numpy")) < 1e-13


@pytest.mark.parametrize("name", NAMES)
def test_every_page_gives_the_figure_of_its_proof(name: str) -> None:
    for form in ("text", "latex", "markdown", "html"):
        found = re.search(r"summed, is ([\d.e+-]+);", " ".join(page(ZOO[name], form).split()))
        assert found is not None
        assert float(found[1]) < 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_text_fits_a_terminal_and_calls_no_invented_name(name: str) -> None:
    text = page(ZOO[name])
    assert max(map(len, text.splitlines())) <= 100
    hoisted = [s.name for s in ZOO[name].equations.statements if not s.written]
    assert not any(re.search(rf"\bd?{h}\b", text) for h in hoisted)
    assert " · " not in text


def test_every_function_and_any_name_can_be_printed(everything: EquationCell) -> None:
    text = page(everything)
    for written in ("√(", "|a_1|", "tanh³(x)", "log²(", "relu(a_1)", "softplus(", "exp(", "[", "1e-05"):
        assert written in text
    assert "y_ " not in text.split("Symbols")[0]
    for form in bptt.derive.FORMATS:
        assert page(everything, form)


@pytest.mark.parametrize("name", NAMES)
def test_the_module_runs_by_itself_and_its_gradients_are_right(name: str) -> None:
    module = page(ZOO[name], "numpy")
    assert "bptt" not in module
    assert run(module) < 1e-13


def test_the_module_of_every_function_is_right(everything: EquationCell) -> None:
    assert run(page(everything, "numpy")) < 1e-12


@pytest.mark.parametrize("seed", range(12))
def test_pages_and_modules_of_random_cells(seed: int) -> None:
    cell = EquationCell(read(random_cell(seed), known={"OUTSIDE": -1.5}))
    values: dict[str, Any] = {}
    exec(page(cell, "numpy"), values)
    with np.errstate(all="ignore"):
        errors = [values["check"](k, T=2, H=3) for k in range(3)]
    assert not any(error > 1e-9 for error in errors)  # where it is nan the equations give no number
    for form in ("text", "latex", "markdown", "html"):
        assert page(cell, form)


def test_a_module_keeps_the_gradient_at_an_output_that_nothing_of_its_step_reads() -> None:
    """The output is read by one condition alone, and is made of a parameter of each unit."""
    text = "@bptt.cell(state='h c', params='p')\ndef f(a_g, c, p):\n    h = 0.3 * p\n    "
    text += "c = where(h > 0, 1, 2) * c + tanh(a_g)\n    return h, c"
    cell = EquationCell(read(text))
    assert "dp = Σ 0.3 dh" in page(cell)
    assert run(page(cell, "numpy")) < 1e-13


def test_a_wrong_line_in_the_module_is_seen_by_its_own_check() -> None:
    module = page(ZOO["lstm"], "numpy")
    assert "df = dc * c_prev" in module
    assert run(module.replace("df = dc * c_prev", "df = dc * tanh_c")) > 1e-3


@pytest.mark.parametrize("name", ["lstm", "gru", "gru-cho", "lstm-peephole", "indrnn"])
def test_the_module_gives_what_the_library_gives(name: str) -> None:
    values: dict[str, Any] = {}
    exec(page(ZOO[name], "numpy"), values)
    case = random_layer(np.random.default_rng(0), cell := ZOO[name], bias="one")
    H, recurrent = case.arrays["U"].shape[0], cell.from_h + cell.from_q
    mine = {unit: case.params[unit] for unit in cell.units}
    blocks = {}  # the module's name of each block of columns
    for letter, gates in (("W", cell.from_x), ("U", recurrent), ("b", cell.from_x)):
        for k, gate in enumerate(gates):
            key = f"{letter}_{gate.removeprefix('x_').removeprefix('u_')}"
            blocks[key] = (letter, slice(k * H, (k + 1) * H))
            mine[key] = case.params[letter][..., blocks[key][1]]
    states = [f"{s}0" for s in cell.states]
    y, _, tape = values["forward"](mine, case.arrays["x"], tuple(case.arrays[s] for s in states))
    final = tuple(case.cotangents[s] for s in cell.states)
    found, dx, dstates = values["backward"](mine, tape, case.cotangents["y"], final)
    grads = case.grads()
    got = {"y": y, "x": dx, **dict(zip(states, dstates, strict=True)), **found}
    for key, array in got.items():
        letter, at = blocks.get(key, (key, slice(None)))
        wanted = case.outputs()["y"] if key == "y" else grads[letter][..., at]
        np.testing.assert_allclose(array, wanted, rtol=1e-12, atol=1e-12, err_msg=key)


class _Outside(HTMLParser):
    """Collects what a browser would fetch, and how tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.maths = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.maths += tag == "math"
        assert tag not in ("script", "img", "iframe", "object", "embed"), tag
        self.fetched += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]


@pytest.mark.parametrize("name", NAMES)
def test_the_html_is_complete_in_itself(name: str) -> None:
    text = page(ZOO[name], "html")
    parser = _Outside()
    parser.feed(text)
    assert parser.fetched == ["data:,"]
    assert parser.maths > 30
    assert "url(" not in text
    assert "@import" not in text
    left = re.sub(r"<[^>]+>", "", text.split("<body>")[1])
    assert "\\" not in left  # no LaTeX was left as it is
    assert "_{" not in left


@pytest.mark.parametrize(
    ("name", "time", "shown"),
    [
        ("a_i", "t", "a_{i,t}"),
        ("c", "t-1", "c_{t-1}"),
        ("c1", "t", "c_{1,t}"),
        ("c_2", "t", "c_{2,t}"),
        ("h_tilde", "t", r"\tilde{h}_{t}"),
        ("alpha", "", r"\alpha"),
        ("a_gamma", "t", r"a_{\gamma,t}"),
        ("log_f", "t", r"\mathrm{log\_f}_{t}"),
        ("keep", "", r"\mathrm{keep}"),
        ("ĉ", "t", r"\hat{c}_{t}"),
        ("λ", "", r"\lambda"),
        ("Δ", "", r"\Delta"),
        ("门", "t", r"\mathrm{U95E8}_{t}"),
        ("b_n_", "", "{b'}_{n}"),
        ("_", "t", r"\mathrm{\_}_{t}"),
    ],
)
def test_names_become_symbols(name: str, time: str, shown: str) -> None:
    assert latex_name(name, time) == shown


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX here")
@pytest.mark.parametrize("name", [*NAMES, "everything"])
def test_the_latex_compiles(name: str, tmp_path: Path, everything: EquationCell) -> None:
    (tmp_path / "cell.tex").write_text(
        page(everything if name == "everything" else ZOO[name], "latex"), "utf-8"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "cell.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert name == "everything" or "Overfull \\hbox" not in done.stdout
    assert (tmp_path / "cell.pdf").stat().st_size > 10_000


def test_what_is_no_cell_of_equations_is_refused() -> None:
    with pytest.raises(bptt.ConfigError, match=r"made of equations.*got <cell lstm"):
        page(bptt.cells.CELLS["lstm"])
    with pytest.raises(bptt.ConfigError, match="one of text, latex"):
        page(ZOO["lstm"], "pdf")


def test_the_docs_print_the_lstm_as_it_is() -> None:
    docs = Path(__file__).parents[2] / "docs" / "derivations.md"
    if not docs.exists():
        pytest.skip("the docs are not here")
    shown = docs.read_text("utf-8").split("```text\n")[1].split("```")[0]
    figure = re.compile(r"[\d.]+e-\d+; ")  # of the last bits, which are the machine's
    assert figure.sub("", " ".join(shown.split())) == figure.sub("", " ".join(page(ZOO["lstm"]).split()))
