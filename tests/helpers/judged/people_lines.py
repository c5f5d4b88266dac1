"""The lines of a recurrent step as people write them, in any of their conventions."""

from dataclasses import dataclass

GATES = {"rnn": "a", "lstm": "ifog", "gru": "rzn"}


@dataclass(frozen=True)
class Style:
    """The conventions of one file."""

    cell: str
    form: str
    order: str
    rows: bool = True
    out_in: bool = False
    concat: str = ""  # "hx" or "xh"
    joint: bool = True
    biases: int = 1
    batch_first: bool = True
    single: bool = False
    c_first: bool = False
    after: bool = False  # the GRU's reset behind the product
    opposite: bool = False  # the GRU's z keeps the old state


class Names:
    """The names of a style's weights, and the equations with them."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self.gates = [""] if style.joint else list(style.order)
        self.W = "W" if style.concat else "Wx"
        self.U = "Wh"
        self.b, self.b2 = ("b", "") if style.biases < 2 else ("bx", "bh")

    def weights(self) -> list[str]:
        kinds = [self.W] + ([] if self.style.concat else [self.U])
        kinds += [self.b] if self.style.biases else []
        kinds += [self.b2] if self.style.biases == 2 else []
        return [f"{kind}{g}" for kind in kinds for g in self.gates]

    def product(self, x: str, W: str) -> str:
        s = self.style
        return f"{W} @ {x}" if not s.rows else f"{x} @ {W}.T" if s.out_in else f"{x} @ {W}"

    def back(self, da: str, W: str) -> str:
        s = self.style
        return f"{W}.T @ {da}" if not s.rows else f"{da} @ {W}" if s.out_in else f"{da} @ {W}.T"

    def outer(self, x: str, da: str) -> str:
        s = self.style
        return f"{da} @ {x}.T" if not s.rows else f"{da}.T @ {x}" if s.out_in else f"{x}.T @ {da}"

    def total(self, da: str) -> str:
        return f"{da}.sum(axis=0)" if self.style.rows else f"{da}.sum(axis=1, keepdims=True)"

    def joined(self, arrays: list[str]) -> str:
        return f"np.concatenate([{', '.join(arrays)}], axis={1 if self.style.rows else 0})"

    def part(self, array: str, k: int, n: int) -> str:
        lo = "" if k == 0 else "H" if k == 1 else f"{k} * H"
        hi = "" if k == n - 1 else "H" if k == 0 else f"{k + 1} * H"
        return f"{array}[:, {lo}:{hi}]" if self.style.rows else f"{array}[{lo}:{hi}]"

    @property
    def axis(self) -> int:
        return 1 if self.style.rows else 0


def forward_lines(n: Names) -> list[str]:
    """Return one step forward, from x, h_prev (and c_prev)."""
    s, lines = n.style, []
    functions = {"a": "np.tanh", "g": "np.tanh", "n": "np.tanh"}
    if s.concat:
        lines.append(f"z_in = {n.joined(['h_prev', 'x'] if s.concat == 'hx' else ['x', 'h_prev'])}")
    if s.joint and s.cell != "rnn":
        lines.append(f"H = h_prev.shape[{n.axis}]")

    def affine(g: str, both: str = "z_in", h: str = "h_prev") -> str:
        terms = [n.product(both, n.W + g)] if s.concat else [n.product("x", n.W + g), n.product(h, n.U + g)]
        terms += [n.b + g] if s.biases else []
        terms += [n.b2 + g] if s.biases == 2 else []
        return " + ".join(terms)

    if s.cell == "rnn":
        return [*lines, f"h = np.tanh({affine('')})"]
    if s.cell == "gru" and s.after:
        bx, bh = (f" + {n.b}" if s.biases else ""), (f" + {n.b2}" if s.biases == 2 else "")
        if s.joint:
            lines += [f"ax = {n.product('x', n.W)}{bx}", f"ah = {n.product('h_prev', n.U)}{bh}"]
            at = {g: s.order.index(g) for g in "rzn"}
            lines += [
                f"{g} = sigmoid({n.part('ax', at[g], 3)} + {n.part('ah', at[g], 3)})"
                for g in s.order
                if g != "n"
            ]
            lines += [f"m = {n.part('ah', at['n'], 3)}", f"n = np.tanh({n.part('ax', at['n'], 3)} + r * m)"]
        else:
            lines += [f"{g} = sigmoid({affine(g)})" for g in s.order if g != "n"]
            lines += [f"m = {n.product('h_prev', n.U + 'n')}{bh}{'n' if bh else ''}"]
            lines += [f"n = np.tanh({n.product('x', n.W + 'n')}{bx}{'n' if bx else ''} + r * m)"]
    elif s.cell == "gru":
        lines += [f"{g} = sigmoid({affine(g)})" for g in s.order if g != "n"]
        lines += ["q = r * h_prev"]
        if s.concat:
            lines += [f"q_in = {n.joined(['q', 'x'] if s.concat == 'hx' else ['x', 'q'])}"]
        lines += [f"n = np.tanh({affine('n', 'q_in', 'q')})"]
    if s.cell == "gru":
        return [*lines, "h = (1 - z) * h_prev + z * n" if s.opposite else "h = z * h_prev + (1 - z) * n"]
    if s.joint:
        lines += [f"a = {affine('')}"]
        lines += [f"{g} = {functions.get(g, 'sigmoid')}({n.part('a', k, 4)})" for k, g in enumerate(s.order)]
    else:
        lines += [f"{g} = {functions.get(g, 'sigmoid')}({affine(g)})" for g in s.order]
    return [*lines, "c = f * c_prev + i * g", "tc = np.tanh(c)", "h = o * tc"]


def backward_lines(n: Names, add: bool) -> list[str]:
    """Return one step backward, from dh (and dc); weight gradients added to, or put."""
    s = n.style
    put = "+=" if add else "="
    deltas = {g: f"da{g}" for g in s.order}
    if s.cell == "rnn":
        lines = ["da = dh * (1 - h ** 2)"]
        deltas = {"": "da"}
    elif s.cell == "lstm":
        lines = [
            "do = dh * tc",
            "dc = dc + dh * o * (1 - tc ** 2)",
            "df = dc * c_prev",
            "di = dc * g",
            "dg = dc * i",
            "dc_prev = dc * f",
            *(f"da{g} = d{g} * {'(1 - g ** 2)' if g == 'g' else f'{g} * (1 - {g})'}" for g in s.order),
        ]
    else:
        keep, take = ("(1 - z)", "z") if s.opposite else ("z", "(1 - z)")
        lines = [f"dz = dh * ({'n - h_prev' if s.opposite else 'h_prev - n'})", f"dn = dh * {take}"]
        lines += ["dan = dn * (1 - n ** 2)"]
        if s.after:
            lines += ["dm = dan * r", "dr = dan * m"]
        else:
            if s.concat:
                lines += [f"dq_in = {n.back('dan', n.W + 'n')}", f"H = h_prev.shape[{n.axis}]"]
                D = f"x.shape[{n.axis}]"
                lo = "[:H]" if s.concat == "hx" else f"[{D}:]"
                lines += [f"dq = dq_in{lo if not s.rows else lo.replace('[', '[:, ', 1)}"]
            else:
                lines += [f"dq = {n.back('dan', n.U + 'n')}"]
            lines += ["dr = dq * h_prev"]
        lines += ["dar = dr * r * (1 - r)", "daz = dz * z * (1 - z)"]
    if s.joint and s.cell != "rnn":
        lines += [f"da = {n.joined([deltas[g] for g in s.order])}"]
        deltas = {"": "da"}
    carry = ""
    if s.cell == "gru":
        carry = f"dh * {keep} + " + ("" if s.after else "dq * r + ")
    if s.cell == "gru" and s.after:
        hidden = dict(deltas) | ({} if s.joint else {"n": "dm"})
        if s.joint:
            lines += [f"dah = {n.joined(['dm' if g == 'n' else f'da{g}' for g in s.order])}"]
            hidden = {"": "dah"}
        lines += ["dx = " + " + ".join(n.back(d, n.W + g) for g, d in deltas.items())]
        lines += [f"dh_prev = {carry}" + " + ".join(n.back(d, n.U + g) for g, d in hidden.items())]
        lines += [f"d{n.W}{g} {put} {n.outer('x', d)}" for g, d in deltas.items()]
        lines += [f"d{n.U}{g} {put} {n.outer('h_prev', d)}" for g, d in hidden.items()]
        lines += [f"d{n.b}{g} {put} {n.total(d)}" for g, d in deltas.items()] if s.biases else []
        lines += [f"d{n.b2}{g} {put} {n.total(d)}" for g, d in hidden.items()] if s.biases == 2 else []
        return lines
    own = {g: d for g, d in deltas.items() if not (s.cell == "gru" and g == "n")}
    if s.concat:
        lines += ["dz_in = " + " + ".join(n.back(d, n.W + g) for g, d in own.items())]
        D, H = f"x.shape[{n.axis}]", f"h_prev.shape[{n.axis}]"
        first, second = (f"[:{H}]", f"[{H}:]") if s.concat == "hx" else (f"[{D}:]", f"[:{D}]")
        if s.rows:
            first, second = first.replace("[", "[:, ", 1), second.replace("[", "[:, ", 1)
        extra = f" + dq_in{second}" if s.cell == "gru" else ""
        lines += [f"dx = dz_in{second}{extra}", f"dh_prev = {carry}dz_in{first}"]
        lines += [
            f"d{n.W}{g} {put} {n.outer('q_in' if s.cell == 'gru' and g == 'n' else 'z_in', d)}"
            for g, d in deltas.items()
        ]
    else:
        lines += ["dx = " + " + ".join(n.back(d, n.W + g) for g, d in deltas.items())]
        lines += [f"dh_prev = {carry}" + " + ".join(n.back(d, n.U + g) for g, d in own.items())]
        lines += [f"d{n.W}{g} {put} {n.outer('x', d)}" for g, d in deltas.items()]
        lines += [
            f"d{n.U}{g} {put} {n.outer('q' if s.cell == 'gru' and g == 'n' else 'h_prev', d)}"
            for g, d in deltas.items()
        ]
    for b in [n.b][: s.biases] + [n.b2][: s.biases - 1 if s.biases else 0]:
        lines += [f"d{b}{g} {put} {n.total(d)}" for g, d in deltas.items()]
    return lines


def cached(n: Names) -> list[str]:
    """Return the names that a step keeps for its backward."""
    s = n.style
    names = ["x", "h_prev", "h"] if s.cell == "rnn" else ["x", "h_prev"]
    names += ["c_prev", "i", "f", "o", "g", "tc"] if s.cell == "lstm" else []
    names += ["r", "z", "n", "m" if s.after else "q"] if s.cell == "gru" else []
    names += ["z_in"] if s.concat else []
    return names + (["q_in"] if s.concat and s.cell == "gru" else [])
