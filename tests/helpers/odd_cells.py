"""Cells that try what prints a step: its names, operands, numbers, choices, and states of every kind."""

from bptt.derive import EquationCell, read

TEXTS = '''
@bptt.cell(state="step outputs", params="ctx unroll")
def names(a_torch, x_apply, u_apply, step, outputs, ctx, unroll, zip=0.5, draw=2.0):
    """Names that the module has for itself: a \\\\ and \\"\\"\\" in its words, too."""
    torch = tanh(a_torch + ctx * step)
    range = 2 * zip - 0.25
    apply = sigmoid(x_apply + u_apply * draw) * range
    outputs = torch * outputs + apply * unroll
    step = torch + apply * tanh(outputs)
    return step, outputs

@bptt.cell(state="y H")
def letters(a_x, u_x, a_W, a_b, y, H, D=0.5, N=1.5):
    W, U, b, x = tanh(a_W), sigmoid(a_x), tanh(a_b), a_x * u_x
    a = W * U + b
    H = D * H + a * x
    y = N * a - H * y
    return y, H

@bptt.cell(state="h", params={"u": (-1, 1), "v": 0.5})
def diagonal(x_h, x_g, h, u, v):
    return tanh(x_h + u * h) * sigmoid(x_g + v * h)

@bptt.cell(state="h c")
def no_input(u_f, u_g, h, c):
    c = sigmoid(u_f) * c + tanh(u_g)
    return tanh(c) + 0.1 * h, c

@bptt.cell(state="h c")
def no_recurrent_product(x_i, c):
    c = 0.5 * c + tanh(x_i)
    return c * c, c

@bptt.cell(state="h", operand={"a_n": "q", "u_m": "q"})
def all_of_the_operand(a_n, u_m, h):
    q = abs(h) ** 0.5 * exp(-h)
    return tanh(a_n) * sigmoid(u_m) + 0.3 * h

@bptt.cell(state="h q", operand={"a_n": "q", "a_m": "q", "u_l": "q"})
def operand_that_is_a_state(a_r, x_s, u_t, a_n, a_m, u_l, h, q):
    q = tanh(a_r) * h + 0.5 * q
    h = sigmoid(a_n) * h + tanh(a_m + u_l) * sigmoid(x_s + u_t)
    return h, q

@bptt.cell(state="h", operand={"a_n": "q"}, params="p")
def operand_of_units(a_g, a_n, h, p):
    q = tanh(p)
    return tanh(a_n) + sigmoid(a_g) * h

@bptt.cell(state="h", operand={"a_n": "q"})
def operand_that_is_a_number(a_g, a_n, h, k=0.3):
    q = 2 * k
    return tanh(a_n) + sigmoid(a_g) * h

@bptt.cell(state="h n m k l", params="p")
def states_that_are_others(a_r, a_s, h, n, k, p, keep=0.5):
    h = tanh(a_r + p * n) * h
    n = h
    l = p * keep
    return h, n, keep * 3, k, a_s

@bptt.cell(state="h w", params="p", bias=False)
def choices(a_i, a_j, a_k, h, p, floor=0.25, keep=0.9):
    t = where(a_i > h, where(a_j >= 0.1, 1.5, -0.1), where(keep > 0.5, a_k, h))
    s = max(floor, a_i) + max(a_j, -floor) + min(a_k, keep) + min(0.5, h) + max(a_i, a_j) - min(h, a_k)
    r = abs(a_i - a_j) + abs(h) * abs(-a_k + 1)
    return tanh(t + s * r) + where(h < a_k, t, r) / (1 + r), p * p

@bptt.cell(state="h c")
def condition_alone(a_i, a_g, h, c):
    c = where(a_g > 0, 1, -1) * c + tanh(a_i)
    h = where(a_g > h, c, 0.5 * h)
    return h, c

@bptt.cell(state="ĥ σ_2 c", params="α")
def greek(a_ψ, a_ω, x_z, ĥ, c, α, β=0.3):
    σ_2 = softplus(-a_ψ) + log(1 + exp(α * c))
    c = relu(a_ω) * β + sqrt(1 + x_z ** 2) ** 3 / (1 + σ_2)
    ĥ = tanh(c) * ĥ - 1 / (2 + tanh(a_ω)) + (a_ψ ** 2 + 0.1) ** -1.5
    return ĥ, σ_2, c

@bptt.cell(state="h")
def constants(a_h, h, x=2.0, error=0.5, drawn=0.1, s=0.3, print=1.5, others=0.2):
    y = print * tanh(a_h * x) - others
    return error * y + drawn * h - s * h * y

@bptt.cell(state="h c", bias=False)
def products_alone(x_g, x_f, h, c):
    c = where(c > 0, x_f, x_g)
    return sigmoid(x_f) * h * c, c

@bptt.cell(state="h")
def product_chosen(u_f, h):
    return where(h > 0, u_f, 0.5 * u_f)

@bptt.cell(state="h", params="p", bias=False)
def one_gate(a_h, h, p):
    return tanh(a_h) * p
'''

ODD: dict[str, EquationCell] = {
    cell.name: cell
    for cell in (EquationCell(read(f"@bptt.cell{text}")) for text in TEXTS.split("@bptt.cell")[1:])
}
"""By name: names, letters, diagonal, ..."""
