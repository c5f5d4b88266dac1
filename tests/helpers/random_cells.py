"""Cells that nobody would write: random equations over all that the notation has, as text."""

from dataclasses import dataclass, field

import numpy as np

from bptt.types import Generator

STATES = ("h", "c", "n", "m", "s", "memory")
GATES = ("i", "f", "o", "g", "z", "r", "cand")
VALUES = ("v", "w", "k", "q2", "ratio", "i", "f", "o")
COMPARISONS = ("<", "<=", ">", ">=")


@dataclass
class Writer:
    """Writes one cell. What it calls has a value of moderate size wherever its arguments have one."""

    rng: Generator
    names: list[str] = field(default_factory=list)  # that have a value by now
    lines: list[str] = field(default_factory=list)
    later: bool = False  # whether with the words that came later, and helpers

    def one(self, *options: str) -> str:
        return options[self.rng.integers(len(options))]

    def some(self, options: tuple[str, ...], least: int, most: int) -> list[str]:
        count = int(self.rng.integers(least, most + 1))
        return [str(name) for name in self.rng.permutation(options)[:count]]

    def number(self) -> str:
        return self.one("0.5", "2", "1.25", "0.1", "3", "-0.75", "(1 / 3)", "math.pi", "OUTSIDE")

    def expression(self, depth: int) -> str:
        if depth == 0:
            return self.number() if self.rng.random() < 0.15 else self.one(*self.names)
        a, b, c, d = (self.expression(depth - 1) for _ in range(4))
        if self.later and self.rng.random() < 0.5:
            return self.one(
                f"sin({a})",
                f"cos({a} + {b})",
                f"erf({a})",
                f"Phi({a})",
                f"sign({a}) * {b}",
                f"floor(3 * {a}) * {b}",
                f"silu({a} - {b})",
                f"gelu({a})",
                f"logsigmoid({a})",
                f"clip({a}, -0.5, {b})",
                f"mod({a}, 0.7)",
                f"{a} % (0.5 + {b} * {b})",
                f"stop({a}) * {b}",
                f"surrogate(where({a} > 0, 1, 0), max(0, 1 - abs({a})), {a}) * {b}",
                f"bent({a})",
                f"mixed({a}, {b})",
            )
        return self.one(
            f"({a} + {b})",
            f"({a} - {b})",
            f"{a} * {b}",
            f"tanh({a}) * sigmoid({b})",
            f"-{a}",
            f"+{a}",
            f"(1 - sigmoid({a}))",
            f"{a} / (0.5 + {b} * {b})",
            f"{a} / {self.one('2', '0.7', '-3')}",
            f"sigmoid({a})",
            f"np.tanh({a})",
            f"tanh({a} + {b})",
            f"relu({a})",
            f"exp(tanh({a}))",
            f"exp(-({a}) ** 2)",
            f"log(softplus({a}) + 0.1)",
            f"softplus({a})",
            f"sqrt({a} * {a} + 0.1)",
            f"abs({a})",
            f"absolute({a})",
            f"max({a}, {b})",
            f"min({a}, {b})",
            f"maximum({a}, {self.number()})",
            f"where({a} {self.one(*COMPARISONS)} {b}, {c}, {d})",
            f"where({a} > 0, {b}, {self.number()})",
            f"where({a} < {b}, {self.number()}, {self.number()})",
            f"tanh({a}) ** {self.one('2', '3', '1', '0')}",
            f"(0.2 + tanh({a}) ** 2) ** {self.one('0.5', '-1', '-2', '-0.5', '1.5')}",
        )

    def bounded(self, depth: int) -> str:
        inner = self.expression(depth)
        return inner if self.rng.random() < 0.4 else f"{self.one('tanh', 'sigmoid')}({inner})"

    def line(self, targets: tuple[str, ...]) -> None:
        name = self.one(*targets)
        if name.startswith(("a_", "x_", "u_")):  # what it was may be read nowhere else
            self.lines.append(f"{name} = {name} + {self.bounded(1)}")
            return
        others = [t for t in targets if t != name and t[:2] not in ("a_", "x_", "u_")]
        match self.one("plain", "plain", "plain", "two", "aug", "chain", "alias", "typed"):
            case "two" if others:
                other = self.one(*others)
                self.lines.append(f"{name}, {other} = {self.bounded(2)}, {self.bounded(1)}")
                self.names.append(other)
            case "aug" if name in self.names:
                operator, value = self.one("+=", "-=", "*="), self.bounded(1)
                self.lines.append(f"{name} {operator} {value}")
            case "chain" if others:
                other = self.one(*others)
                self.lines.append(f"{name} = {other} = {self.bounded(2)}")
                self.names.append(other)
            case "alias":
                self.lines.append(f"{name} = {self.one(*self.names)}")
            case "typed":
                self.lines.append(f"{name}: float = {self.bounded(2)}  # of one unit")
            case _:
                self.lines.append(f"{name} = {self.bounded(2)}")
        self.names.append(name)


HELPERS = (
    "def bent(u):",
    "    v = u * OUTSIDE",
    "    return tanh(v) + 0.1 * v",
    "def mixed(u, v, part=0.3):",
    "    w = part * bent(u)",
    "    return w * sigmoid(v) + (1 - part) * where(u > v, v, w)",
)


def random_cell(seed: int, *, lines: int = 6, largest: bool = False, later: bool = False) -> str:
    """Return the text of a cell, with its decorator."""
    rng = np.random.default_rng(seed)
    w = Writer(rng, lines=[*HELPERS] if later else [], later=later)
    states = w.some(STATES, 4 if largest else 1, 4)
    ids = w.some(GATES, 5 if largest else 1, 5)
    gates = [w.one("a_", "a_", "a_", "x_", "u_") + g for g in ids]
    if all(g.startswith("u_") for g in gates):
        gates[0] = "a_" + ids[0]
    params = w.some(("p", "peep"), 0, 2)
    constants = w.some(("least" if later else "floor", "keep"), 0, 2)
    read = [s for s in states if rng.random() < 0.8]

    # the operand's gate has no value before the operand has
    late = [g for g in gates if g.startswith("a_")][: int(len(gates) > 1 and rng.random() < 0.35)]
    w.names = [*(g for g in gates if g not in late), *params, *read, *constants]
    operand = ""
    if late:
        operand = f", operand={{'{late[0]}': 'operand_of'}}"
        early = [g for g in gates if g not in late]
        w.lines.append(f"operand_of = {w.bounded(1)} + 0.3 * {early[0]}")
        w.names += [*late, "operand_of"]

    targets = (*VALUES, *states, *(g for g in gates if g not in late))
    for _ in range(lines):
        w.line(targets)
    rest = [*gates, *params]  # each is read at least here
    for k, state in enumerate(states):
        own = rest[k :: len(states)]
        terms = [w.one(f"0.3 * {name}", f"tanh({name})", f"sigmoid({name}) * {name}") for name in own]
        w.lines.append(f"{state} = {' + '.join([w.bounded(2), *terms])}")
        w.names.append(state)
    returned = ", ".join(states)
    if rng.random() < 0.2:
        returned = ", ".join(states[::-1])
    elif rng.random() < 0.2:
        returned = ", ".join([*states[:-1], f"0.5 * {states[-1]}"])
    arguments = [*gates, *rng.permutation([*params, *read]), *(f"{c}={rng.normal():.3f}" for c in constants)]
    kept = f", params={' '.join(params)!r}" if params else ""
    head = (
        f"@bptt.cell(state={' '.join(states)!r}{kept}{operand})\ndef cell_{seed}({', '.join(arguments)}):\n"
    )
    return head + "".join(f"    {line}\n" for line in [*w.lines, f"return {returned}"])
