"""Cells whose values have axes: known ones, and such that nobody would write, as text."""

from bptt.derive import EquationCell, EquationError, read
from bptt.types import Generator

KNOWN = {
    "mlstm": '''
@bptt.cell(state="h C n m", heads=2, sizes={"key": 9}, start={"m": -1.0},
           shapes={"C": "unit key", "n x_k x_q": "key", "m a_i a_f": "head"})
def mlstm(a_i, a_f, a_o, x_v, x_k, x_q, C, n, m_prev):
    log_f = -softplus(-a_f)
    m = max(log_f + m_prev, a_i)
    i, f = exp(a_i - m), exp(log_f + m_prev - m)
    C = f * C + i * x_v * x_k
    n = f * n + i * x_k
    h = sigmoid(a_o) * sum(C * x_q, key) / max(abs(sum(n * x_q, key)), 1)
    return h, C, n, m
''',
    "gla": '''
@bptt.cell(state="h C", heads=3, sizes={"key": 5}, shapes={"C": "unit key", "x_k x_q x_a": "key"})
def gla(x_v, x_k, x_q, x_a, a_o, C):
    C = sigmoid(x_a) * C + x_v * x_k
    y = sigmoid(a_o) * sum(C * x_q, key)
    h = y / sqrt(mean(y * y) + 0.1)
    return h, C
''',
    "delta": '''
@bptt.cell(state="h C", heads=2, sizes={"key": "unit"},
           shapes={"C": "unit key", "x_k x_q": "key", "a_b": "head"})
def delta(x_v, x_k, x_q, a_b, C):
    k = softmax(x_k, key)
    C = C + sigmoid(a_b) * (x_v - sum(C * k, key)) * k
    h = sum(C * x_q, key)
    return h, C
''',
    "normalised": '''
@bptt.cell(state="h c", params="g_c b_c")
def normalised(a_i, a_f, a_o, a_g, g_c, b_c, c, eps=1e-3):
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g - mean(a_g))
    c = f * c + i * g
    centred = c - mean(c)
    h = o * tanh(g_c * centred / sqrt(mean(centred * centred) + eps) + b_c)
    return h, c
''',
    "projected": '''
@bptt.cell(state="h c", sizes={"key": 7}, shapes={"h u_p": "key"}, operand={"u_p": "r"})
def projected(a_i, a_f, a_o, a_g, u_p, c):
    c = sigmoid(a_f) * c + sigmoid(a_i) * tanh(a_g)
    r = sigmoid(a_o) * tanh(c)
    h = u_p
    return h, c
''',
    "ordered": '''
@bptt.cell(state="h c", heads=3)
def ordered(a_i, a_f, a_o, a_g, a_mf, a_mi, c):
    mf, mi = cumsoftmax(a_mf), 1 - cumsoftmax(a_mi)
    w = mf * mi
    c = (sigmoid(a_f) * w + mf - w) * c + (sigmoid(a_i) * w + mi - w) * tanh(a_g)
    h = sigmoid(a_o) * tanh(c)
    return h, c
''',
    "several": '''
@bptt.cell(state="h c", operand={"a_n": "q", "u_m": "c_prev", "a_s": "p"}, inputs="t x", shapes={"t": "row"},
           scalars="al")
def several(a_r, a_n, u_m, a_s, a_z, t, x, al, h, c):
    r = sigmoid(a_r + u_m)
    q = r * h * a_r + t
    p = tanh(a_n) * r
    c = al * c + (1 - exp(-t * t)) * tanh(a_s) * x
    h = tanh(h + sigmoid(a_z) * c)
    return h, c
''',
    "exchanged": '''
@bptt.cell(state="h C D", shapes={"C D": "unit key", "x_k": "key"}, sizes={"key": 3}, heads=2,
           operand={"a_n": "C_prev"})
def exchanged(a_n, x_v, x_k, C_prev, D_prev):
    C = D_prev
    D = tanh(C_prev + x_v * x_k)
    h = tanh(a_n) * sum(C * D, key)
    return h, C, D
''',
}  # fmt: skip

_SHAPES = {"unit": {"unit"}, "key": {"key"}, "unit key": {"unit", "key"}, "head": set[str]()}


def known(name: str) -> EquationCell:
    """Return one of these cells."""
    return EquationCell(read(KNOWN[name]))


def drawn(rng: Generator) -> EquationCell:
    """Return a cell that nobody would write: gates, states, operands and sums of any axes."""
    while True:
        try:
            return EquationCell(read(_text(rng)))
        except EquationError:  # what reads a name that it must not
            continue


def _text(rng: Generator) -> str:
    def one(*options: str) -> str:
        return options[rng.integers(len(options))]

    shapes = [*_SHAPES]
    of = {f"s{k}": one(*shapes) for k in range(rng.integers(1, 4))} | {
        "p": one(*shapes),
        "t": one(*shapes, "row"),
    }
    of = {"h": one("unit", "unit", "key")} | of
    states = [n for n in of if n not in ("p", "t")]
    gates = {f"{one('a', 'a', 'x', 'u')}_{k}": one(*shapes) for k in range(rng.integers(2, 6))}
    axes = {n: _SHAPES.get(shape, set[str]()) for n, shape in (of | gates).items()}
    fed = [g for g in gates if g[0] in "au"]
    operand = {g: one("q", "w", f"{states[-1]}_prev") for g in fed[1:] if rng.random() < 0.4}
    late = {g for g, q in operand.items() if q == "w"}
    middle = {g for g, q in operand.items() if q == "q"}
    known = [n for n in (*gates, "p", "t") if n not in late | middle] + [f"{s}_prev" for s in states]
    axes |= {f"{s}_prev": axes[s] for s in states}

    def some(depth: int) -> tuple[str, set[str]]:
        if depth == 0 or rng.random() < 0.1:
            name = one(*known)
            return name, axes[name]
        a, of_a = some(depth - 1)
        kind = rng.integers(7)
        if kind == 0 and of_a:
            axis = one(*sorted(of_a))
            word = one("sum", "mean", "max", "softmax", "cumsum", "cumsoftmax")
            taken = of_a if word in ("softmax", "cumsum", "cumsoftmax") else of_a - {axis}
            return f"{word}(tanh({a}), {axis})" if axis == "key" else f"{word}(tanh({a}))", taken
        if kind == 1:
            return f"{one('tanh', 'sigmoid', 'sin', 'abs')}({a})", of_a
        b, of_b = some(depth - 1)
        if kind == 2:
            return f"max({a}, {b})", of_a | of_b
        return f"({a} {one('+', '-', '*', '*')} {b})", of_a | of_b

    def fitting(target: set[str]) -> str:
        text, of_text = some(4)
        for axis in sorted(of_text - target):
            text = f"mean({text}, key)" if axis == "key" else f"mean({text})"
        return f"tanh({text})"

    lines = []
    for name, opens in (("q", middle), ("w", late)):
        text, axes[name] = some(2)
        lines.append(f"{name} = tanh({text})")
        known += [name, *opens]
    for s in states:
        lines.append(f"{s} = {fitting(axes[s])} + {s}_prev / 4")
        axes[f"new_{s}"] = axes[s]
        known.append(s)
    arguments = [*gates, "p", "t", *(f"{s}_prev" for s in states)]
    given = {n: shape for n, shape in (of | gates).items() if n in states or n in arguments}
    head = f"state={' '.join(states)!r}, params='p', inputs='t', shapes={given}, operand={operand}"
    sizes = f"heads={rng.integers(1, 4)}, sizes={{'key': {one('3', '8', '17', repr('unit'))}}}"
    body = "\n    ".join((*lines, f"return {', '.join(states)}"))
    return f"@bptt.cell({head}, {sizes})\ndef odd({', '.join(arguments)}):\n    {body}\n"
