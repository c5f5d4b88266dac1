"""Cells that nobody would write, over the whole notation, as text.

Values of any axes, what goes over these, all words, helpers, steps and derivatives of one's own, several
operands, inputs, maps, heads, starts, parameters of units and of the layer, constants.
"""

import re
from dataclasses import dataclass, field

import numpy as np

from bptt.derive import EquationCell, EquationError, read
from bptt.types import Generator

Axes = frozenset[str]
SHAPES: dict[str, Axes] = {
    "unit": Axes({"head", "unit"}),
    "key": Axes({"head", "key"}),
    "unit key": Axes({"head", "unit", "key"}),
    "head": Axes({"head"}),
    "row": Axes(),
}
OVER = ("sum", "mean", "max", "softmax", "cumsum", "cumsoftmax")
STEPS = ("where(", "mixed(", "sign(", "floor(", "mod(", "%", "surrogate(")
"""What jumps: rounding in float32 may be on another side of it than in float64."""

HELPERS = (
    "def bent(u):",
    "    v = u * 0.7",
    "    return tanh(v) + 0.1 * v",
    "def mixed(u, v, part=0.3):",
    "    w = part * bent(u)",
    "    return w * sigmoid(v) + (1 - part) * where(u > v, v, w)",
)


@dataclass
class _Writer:
    """Writes one cell; what it calls has a value of moderate size wherever its arguments have one."""

    rng: Generator
    plain: bool  # whether all values are one number for each unit
    jumps: bool  # whether with what jumps
    axes: dict[str, Axes] = field(default_factory=dict)  # of names that have a value by now
    known: list[str] = field(default_factory=list)

    def one(self, *options: str) -> str:
        return options[self.rng.integers(len(options))]

    def often(self, part: float) -> bool:
        return bool(self.rng.random() < part)

    def shape(self, *more: str) -> str:
        return "unit" if self.plain else self.one("unit", "key", "unit key", "head", *more)

    def number(self) -> str:
        return self.one("0.5", "2", "1.25", "0.1", "3", "-0.75", "(1 / 3)", "math.pi")

    def some(self, depth: int) -> tuple[str, Axes]:
        """Return an expression and its axes."""
        if depth == 0 or self.often(0.08):
            if self.often(0.1):
                return self.number(), Axes()
            name = self.one(*self.known)
            return name, self.axes[name]
        (a, of_a), (b, of_b) = self.some(depth - 1), self.some(depth - 1)
        both = of_a | of_b
        if self.often(0.2) and of_a - {"head"} and not self.plain:
            axis = self.one(*sorted(of_a - {"head"}))
            word = self.one(*OVER)
            taken = of_a - {axis} if word in OVER[:3] else of_a
            inside = a if self.often(0.3) else f"tanh({a})"
            return f"{word}({inside}{', key' if axis == 'key' else ''})", taken
        if self.jumps and self.often(0.25):
            c, of_c = self.some(depth - 1)
            return self.one(
                f"where({a} {self.one('<', '<=', '>', '>=')} {b}, {c}, {self.number()})",
                f"where({a} > 0, {b}, {c})",
                f"(sign({a}) * {b} + {c})",
                f"(floor(2.7 * {a}) * {b} + 0 * {c})",  # at 3 the last of a cumsoftmax is on a step
                f"mod({a}, 0.7) * ({b} + {c})",
                f"({a} % (0.5 + {b} * {b}) + 0.1 * {c})",
                f"surrogate(where({a} > 0, 1, 0), max(0, 1 - abs({a})), {a}) * ({b} - {c})",
                f"mixed({a}, {b}) * tanh({c})",
            ), both | of_c
        if self.often(0.5):
            return self.one(
                f"({a} + {b})",
                f"({a} - {b})",
                f"{a} * {b}",
                f"{a} / (0.5 + {b} * {b})",
                f"max({a}, {b})",
                f"min({a}, {b})",
                f"stop({a}) * {b}",
                f"clip({a}, -0.5, {b})",
                f"bent({a}) * sigmoid({b})",
                f"cos({a} + {b})",
                f"silu({a} - {b})",
            ), both
        return self.one(
            f"-{a}" if not a.startswith("-") else f"({a})",
            f"tanh({a})",
            f"sigmoid({a})",
            f"sin({a})",
            f"erf({a})",
            f"Phi({a})",
            f"abs({a})",
            f"relu({a})",
            f"gelu({a})",
            f"logsigmoid({a})",
            f"softplus({a})",
            f"exp(tanh({a}))",
            f"exp(-({a}) ** 2)",
            f"log(softplus({a}) + 0.1)",
            f"sqrt({a} * {a} + 0.1)",
            f"tanh({a}) ** {self.one('2', '3')}",
            f"(0.2 + tanh({a}) ** 2) ** {self.one('0.5', '-1', '-2', '-0.5', '1.5')}",
            f"max({a}, {self.number()})",
        ), of_a

    def fitting(self, target: Axes, depth: int = 3) -> str:
        """Return an expression whose value has no other axes than these."""
        text, of_text = self.some(depth)
        for axis in sorted(of_text - target - {"head"}):
            text = f"{self.one('mean', 'sum', 'max')}({text}{', key' if axis == 'key' else ''})"
        if "head" in of_text - target:
            return ""  # nothing goes over heads
        return f"{self.one('tanh', 'sigmoid')}({text})"


def whole_cell(rng: Generator) -> str:
    """Return the text of a cell that is read."""
    while True:
        text = _text(rng)
        try:
            EquationCell(read(text))
            return text
        except EquationError as error:
            # what is drawn may be read by nothing, or have fewer axes: a choice that is known is none
            if not any(says in str(error) for says in ("nowhere", "has one shape for all", "has units")):
                raise AssertionError(f"{error}\n{text}") from None


_NAMES = """
    y dy dq da dh dc h_next dy_next c f i n g o t N T D H J K j l m W_h U_h b_g W U b b_h own carry rows
    states params grads at total put out zeros steps scratch prev last dcarry np torch jnp ctx saved self
    outputs sum_1 mean_1 ratio_1 tanh_1 size_1 given inputs_ x_t step unroll apply draw check lambda_ beta
"""
"""What code has names for, too, and what papers call things."""


def renamed(text: str, rng: Generator) -> str:
    """Return a cell some of whose values have such names."""
    mine = [n for n in _NAMES.split() if not re.search(rf"\b{n}(_prev)?\b", text)]
    found = sorted(
        {*re.findall(r"\b(?:[swprtk]\d|[hq])(?=_prev\b|\b)", text.partition("where(u > v, v, w)")[2])}
    )
    for old in (n for n in found if rng.random() < 0.4):
        new = mine.pop(rng.integers(len(mine)))
        other = re.sub(rf"(?<!\w){old}(?=_prev\b|\b)", new, text)
        try:
            EquationCell(read(other))
            text = other
        except EquationError:  # a name that is a layer's own
            continue
    return text


def cell_of(seed: int) -> EquationCell:
    """Return a cell by its number."""
    rng = np.random.default_rng([seed, 15])
    return EquationCell(read(renamed(whole_cell(rng), rng)))


def _text(rng: Generator) -> str:
    w = _Writer(rng, plain=bool(rng.random() < 0.25), jumps=bool(rng.random() < 0.4))
    states = {f"s{k}": w.shape() for k in range(rng.integers(0, 4))}
    states = {"h": "unit" if w.plain else w.one("unit", "unit", "key", "unit key")} | states
    gates = {f"{w.one('a', 'a', 'x', 'u')}_{k}": w.shape() for k in range(rng.integers(1, 6))}
    if all(g[0] == "u" for g in gates):
        gates = {"a_in": "unit"} | gates
    params = {f"p{k}": w.shape() for k in range(rng.integers(0, 3))}
    scalars = [f"r{k}" for k in range(rng.integers(0, 2))]
    inputs = {f"t{k}": w.shape("row") for k in range(rng.integers(0, 3))}
    inputs |= {"x": "unit"} if w.often(0.15) else {}
    constants = {f"k{k}": f"{rng.normal():.3f}" for k in range(rng.integers(0, 2))}
    of = states | gates | params | inputs
    before = {f"{s}_prev": shape for s, shape in states.items()}
    w.axes = {n: SHAPES[shape] for n, shape in (of | before).items()}
    w.axes |= dict.fromkeys((*scalars, *constants), Axes())

    fed = [g for g in gates if g[0] in "au"]
    operand = {g: w.one("q", "v", w.one(*before)) for g in fed[1:] if w.often(0.35)}
    late = {q: [g for g, of_g in operand.items() if of_g == q] for q in ("q", "v")}
    arguments = [*gates, *params, *scalars, *inputs, *before]
    w.known = [n for n in (*arguments, *constants) if n not in late["q"] + late["v"]]
    lines = [*HELPERS]
    for name, opens in late.items():
        if opens:
            text, w.axes[name] = w.some(2)
            lines.append(f"{name} = tanh({text}) + 0.1 * {fed[0]}")
            w.axes[name] |= w.axes[fed[0]]
            w.known += [name, *opens]
    for k in range(rng.integers(0, 4)):
        text, w.axes[f"w{k}"] = w.some(3)
        lines.append(f"w{k} = {w.one('tanh', 'sigmoid', '')}({text})")
        w.known += [f"w{k}"] * 3
    rest = [*gates, *params, *scalars, *inputs]
    for k, s in enumerate(states):
        target = w.axes[f"{s}_prev"]
        text = next(filter(None, (w.fitting(target) for _ in range(99))))
        own = [n for n in rest[k :: len(states)] if w.axes[n] <= target]
        terms = [
            text,
            *(w.one(f"0.3 * {n}", f"tanh({n})", f"sigmoid({n}) * {n}") for n in own),
            f"{s}_prev / 4",
        ]
        lines.append(f"{s} = {' + '.join(terms)}")
        w.axes[s] = target
        w.known += [s, s]

    options = [f"state={' '.join(states)!r}"]
    given = ", ".join(f"{n!r}: {w.one('0.5', '(-1, 1)')}" for n in params)
    options += [f"params={{{given}}}" if w.often(0.5) else f"params={' '.join(params)!r}"] if params else []
    options += [f"scalars={{{', '.join(f'{n!r}: 0.5' for n in scalars)}}}"] if scalars else []
    options += [f"inputs={' '.join(n for n in inputs if n != 'x')!r}"] if {*inputs} - {"x"} else []
    shapes = {n: shape for n, shape in of.items() if shape != "unit"}
    options += [f"shapes={shapes}"] if shapes else []
    options += [f"operand={operand}"] if operand else []
    options += [f"start={{{w.one(*states)!r}: 0.3}}"] if w.often(0.2) else []
    options += ["bias=False"] if w.often(0.15) else []
    maps = _maps(w, gates, operand)
    options += [f"maps={maps}"] if maps else []
    if not w.plain:
        options += [f"heads={rng.integers(1, 4)}"]
        options += [f"sizes={{'key': {w.one('1', '3', '8', '17', repr('unit'))}}}"]
    given = ", ".join([*arguments, *(f"{n}={value}" for n, value in constants.items())])
    body = "\n    ".join([*lines, f"return {', '.join(states)}"])
    return f"@bptt.cell({', '.join(options)})\ndef odd({given}):\n    {body}\n"


def _maps(w: _Writer, gates: dict[str, str], operand: dict[str, str]) -> dict[str, str]:
    """Return a map for some matrices, where all is one number for each unit."""
    if not w.plain or w.often(0.6):
        return {}
    made: dict[str, str] = {}
    for gate in gates:
        if gate[0] in "au" and w.often(0.5):
            made[gate] = w.one(
                "antisymmetric(0.1)", "diagonal", "low_rank(2)", "tanh(M) @ M / 2", "cayley(0.5)"
            )
        elif gate[0] in "ax" and w.often(0.3):
            made[f"W.{gate}"] = w.one("tanh(M) * 2", "low_rank(2)")
    both = [g for g in gates if g[0] in "au" and g not in made]
    if len(both) > 1 and w.often(0.5):
        made[both[1]] = both[0]
    return made
