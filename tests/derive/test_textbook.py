"""A page reads as a textbook does: nothing trivial is said, what repeats is named, no names are alike."""

import pytest
from sympy import Symbol

from bptt.derive import EquationCell, page, read
from bptt.derive.as_html import mathml
from bptt.derive.describe import describe
from bptt.derive.names import latex_names
from bptt.derive.notation import TeXPrinter
from pages import text_of


def cell(body: str, arguments: str, more: str = 'state="h"') -> EquationCell:
    return EquationCell(read(text_of(*body.split("; "), arguments=arguments, options=more)))


def told(body: str, arguments: str, more: str = 'state="h"') -> str:
    """Return a page as text, with single spaces."""
    return " ".join(page(cell(body, arguments, more)).split())


def test_equations_are_numbered_from_one() -> None:
    text = told("u = tanh(h); v = exp(u); z = sigmoid(a_h); return z * h", "a_h, h")
    assert "(1) z = σ(a_h) (2) h = z h_prev" in text
    assert "(3)" not in text


def test_a_sum_of_many_parts_has_a_name() -> None:
    body = "k = exp(a_k); n = k + p * n; h = (k * tanh(a_h) + p * h) / (n + exp(p) + 1); return h, n"
    text = told(body, "a_h, a_k, h, n, p", 'state="h n", params="p"')
    assert "s = 1 + n + exp(p) (3) dn = dn_next - dh h / s da_h = dh k (1 - tanh²(a_h)) / s" in text
    assert text.count("1 + n + exp(p)") == 1


def test_a_quotient_is_derived_by_its_value() -> None:
    body = "e = exp(a_i); d = exp(a_f); c = (e * tanh(a_g) + d * c) / (e + d); h = tanh(c); return h, c"
    text = told(body, "a_i, a_f, a_g, c", 'state="h c"')
    assert "de = dc (tanh(a_g) - c) / (e + d) (3) dd = dc (c_prev - c) / (e + d)" in text
    assert ")²" not in text.split("One step")[1]


def test_what_holds_on_both_sides_is_chosen_on_neither() -> None:
    text = told("u = where(a_g > tau, a_h + h, a_h - h); h = tanh(u); return h", "a_h, a_g, h, tau=0.5")
    assert "da_h = du " in text
    assert "dh_prev = du ([a_g > tau] - [a_g ≤ tau])" in text


def test_the_zeros_of_the_last_step_are_carried_through() -> None:
    text = told("c = c + tanh(a_c); h = sigmoid(a_o); return h, c", "a_c, a_o, c", 'state="h c"')
    last = text.split("At the last step")[1].split("The sums")[0]
    assert "dh = dy dc = 0 (1) dc_prev = 0 da_c = 0 dh_prev = da_o U_oᵀ dx = da_o W_oᵀ" in last


def test_nothing_is_told_of_a_state_that_no_step_reads() -> None:
    text = told("f = sigmoid(x_f); c = f * c; h = tanh(c); return h, c", "x_f, c", 'state="h c"')
    assert "dh_prev" not in text
    assert "dh_next is zero there, since no step reads h_prev" in text


def test_terms_that_cancel_are_not_printed() -> None:
    text = told("y = a_h ** 12; u = y + a_h; h = tanh(u - y); return h", "a_h")
    assert "(2) da_h = du dh_prev" in text


def test_a_gate_of_an_operand_that_the_loss_does_not_reach() -> None:
    """The operand's gradient is complete all the same."""
    body = "r = sigmoid(a_r); q = r * h; n = tanh(a_n); h = where(a_m > 0, n, r); return h"
    assert "dq = da_n U_nᵀ" in told(body, "a_r, a_n, a_m, h", 'state="h", operand={"a_n": "q", "a_m": "q"}')


def test_nine_gates_and_every_letter_taken() -> None:
    gates = ["a_k", "a_j", "a_l", "a_m", "a_n", "a_p", "a_q", "x_b", "x_c"]
    assert "for k" not in told(f"return tanh({' * '.join(gates)}) + h", ", ".join([*gates, "h"]))


def test_numbers_are_printed_whole() -> None:
    text = told("h = keep * h + a_h * 0.1234567890123456; return h", "a_h, h, keep=0.98765432109876")
    assert "keep = 0.98765432109876" in text
    assert "0.1234567890123456" in text


NAMES = (
    *("c1", "c_1", "c__1", "c_1_", "theta1", "theta_1", "θ1", "θ_1", "sigma", "ς", "h_hat", "ĥ", "keep"),
    "ke_ep",
)


@pytest.mark.parametrize("time", ["t", ""])
def test_no_two_names_are_alike(time: str) -> None:
    shown = latex_names([(name, time) for name in NAMES])
    assert len({*shown.values()}) == len(NAMES)
    assert len({mathml(tex) for tex in shown.values()}) == len(NAMES)


SIGNS = """
r = sqrt(1 + c ** 2)
g = c / r + sqrt(r) ** 3 + exp(-c ** 2) ** 0.5 + log(1 + c ** 2) ** -2
b = log(k) * -tanh(a_f) / (-k) - -(-2 * c) * (-1) * g / 3 + 1 / (2 - c)
c = 0.5 * c + a_f * b
return c / r, c
"""


def test_powers_and_signs_are_written_as_people_write_them() -> None:
    """No sign or coefficient is idle, and only a function's own sign is raised."""
    given = ("; ".join(SIGNS.strip().splitlines()), "a_f, c, k", 'state="h c", params={"k": (0.5, 1)}')
    text, tex = told(*given), page(cell(*given), "latex")
    assert "ratio_2 = 1 / log²(1 + c_prev²)" in text
    assert "g = ratio_1 + (√(r))³ + (exp(-c_prev²))^(0.5) + ratio_2" in text
    assert r"(\sqrt{r_{t}})^{3} + (\exp({- c_{t-1}^{2}}))^{0.5}" in tex
    assert r"= \frac{1}{\log^{2}(1 + c_{t-1}^{2})}" in tex
    assert "ratio_3 = -log(k) tanh(a_f) / (-k)" in text
    assert "ratio_4 = 1 / (2 - c_prev)" in text
    assert "b = ratio_3 + 2 c_prev g / 3 + ratio_4" in text
    assert r"\mathrm{ratio}_{3,t} &= - \frac{\log(k) \, \tanh(a_{f,t})}{- k}" in tex
    for idle in (r"\sqrt^", r"\exp^", r"1 \, ", r"(-1)", r"\left(-1"):
        assert idle not in tex
    for idle in ("- 1 ", "-1 ", "√²", "(-1)"):
        assert idle not in text.split("One step")[1].split("What is kept")[0]


def test_a_sum_on_several_lines_stays_in_its_column() -> None:
    gates = [f"a_{c}" for c in "bcdefghijl"]
    made = cell(f"return {' * '.join(gates)} + h", ", ".join([*gates, "h"]))
    assert "\n& \\quad +" in page(made, "markdown")
    assert "&&" not in page(made, "markdown")


def test_a_value_called_sigma_is_no_sigmoid() -> None:
    tex = page(cell("sigma = sigmoid(a_f) * h; return sigma + a_f", "a_f, h"), "latex")
    assert r"\sigma_{t} &= \operatorname{sigmoid}(a_{f,t})" in tex
    assert r"\sigma(" not in tex


def test_a_value_called_as_what_the_derivation_makes_has_another_name() -> None:
    """Its gradient would be called dc_next, as what comes back to c is; Σ is a sum."""
    body = "c_next = tanh(a_c) + c; Σ = 2 * c_next; c = Σ * 0.5; h = tanh(c_next); return h, c"
    text = told(body, "a_c, c", 'state="h c"')
    assert "(4, 2) dc_next_1 = dh (1 - h²) + 2 dΣ_1" in text
    assert page(cell(body, "a_c, c", 'state="h c"'), "numpy")


def test_the_pages_own_symbols_are_unlike_the_cells_names() -> None:
    body = "c = T * c + t * tanh(a_c) + N; D = c * H; h = tanh(D) * H; return h, c"
    given = body, "a_c, c, T, t, H, N=0.5", 'state="h c", params="T t H"'
    text = told(*given)
    assert "At step t_ of 1 .. T_, x is the input (N_, D_): N_ rows of D_ numbers" in text
    assert "T, t and H are parameters" in text
    assert "1 H_ floats" not in text
    tex = page(cell(*given), "latex")
    assert r"c_{{t'}} &= T \, c_{{t'}-1} + t \, \tanh(a_{c,{t'}}) + N" in tex
    assert r"\mathrm{d}t &= \sum_{{t'}}" in tex
    assert "${t'} < {T'}$" in tex
    assert mathml("{t'}") != mathml("t")
    assert page(cell(*given), "html")
    assert "At step t of 1 .. T, x is the input (N, D)" in told("return tanh(a_h)", "a_h")


def test_no_two_names_of_a_cell_are_alike() -> None:
    body = "; ".join(
        f"{name} = {before} * a_c1 + tanh(a_c_1)"
        for before, name in zip(("a_h", *NAMES), NAMES, strict=False)
    )
    body = body.replace("sigma = ", "sigma_ = ").replace("ς = sigma", "ς = sigma_")
    made = describe(
        cell(f"{body}; c_t = ke_ep + c_t * sigma + dx; return tanh(c_t + c) + y, c_t",
             "a_h, a_c1, a_c_1, c_t, sigma, c, dx, y", 'state="h c_t", params="sigma c dx y"')
    )  # fmt: skip
    printer = TeXPrinter(made.whole)
    exprs = [e for role in ("forward", "backward") for x in made.lines(role) for e in (x.left, x.right)]
    names = {s.name for e in exprs for s in e.free_symbols}
    assert len({printer.doprint(Symbol(n)) for n in names}) == len(names) > 50


def test_a_large_cell_has_a_page() -> None:
    """Time that doubles with each level, or with each line, would never come to its end."""
    nested = "a_h"
    for k in range(24):
        nested = f"tanh({nested}{' * 0.9 + a_g' if k % 2 else ''})"
    lines = ["v0 = tanh(a_h) * a_g"]
    lines += [f"v{k} = v{k - 1} / (1 + v{max(0, k - 3)} ** 2) + sigmoid(v{k // 2})" for k in range(1, 60)]
    for body in (f"return {nested} + h", "; ".join([*lines, "return v59 * h"])):
        for form in ("text", "html"):
            assert page(cell(body, "a_h, a_g, h"), form)


def test_a_name_that_begins_with_d_is_no_gradient() -> None:
    tex = page(cell("return h - delta * sigmoid(a_dt) * h", "a_dt, h, delta=0.5"), "latex")
    assert r"\delta \, \sigma(a_{\mathrm{dt},t})" in tex
    assert r"\mathrm{d}a_{\mathrm{dt},t}" in tex
    assert r"\mathrm{d}elta" not in tex
