"""The cells that are known: each one's step forward, and its backward in lines (see `reference`)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np

from bptt.cells import sigmoid
from bptt.checking.reference import DERIVATIVE, Line, Reference, parse
from bptt.types import Array, Params


def _a(p: Params, gate: str, now: Params, operand: str = "h_prev") -> Array:
    a: Array = now["x"] @ p[f"W_{gate}"] + now[operand] @ p[f"U_{gate}"] + p.get(f"b_{gate}", 0)
    return a + p.get(f"b_h_{gate}", 0)


def _affine(gates: Sequence[str], carry: str = "", delta: str = "", operand: str = "") -> list[Line]:
    """Return the lines of the matrix products; the last gate may have a delta or an operand of its own."""
    last = gates[-1]
    deltas = {g: delta if delta and g == last else f"da_{g}" for g in gates}
    own = [g for g in gates if not (operand and g == last)]
    text = ["dh_prev = " + carry + " + ".join(f"{deltas[g]} @ U_{g}.T" for g in own)]
    text += ["dx = " + " + ".join(f"da_{g} @ W_{g}.T" for g in gates)]
    text += [f"dW_{g} = x.T @ da_{g}" for g in gates]
    text += [f"dU_{g} = {'h_prev' if g in own else operand}.T @ {deltas[g]}" for g in gates]
    text += [f"db_{g} = ones.T @ da_{g}" for g in gates] + [f"db_h_{g} = ones.T @ {deltas[g]}" for g in gates]
    return [parse(line) for line in text]


def _lines(text: str) -> list[Line]:
    return [parse(line) for line in text.strip().splitlines()]


def _rnn(kind: str) -> Reference:
    functions: dict[str, Callable[[Array], Array]] = {
        "tanh": np.tanh,
        "sigmoid": sigmoid,
        "relu": lambda a: np.where(a.real > 0, a, 0),
    }

    def step(p: Params, now: Params) -> Params:
        a = _a(p, "a", now)
        return {**now, "a": a, "h": functions[kind](a)}

    lines = _lines(f"dh = dy + dh_next\nda_a = dh * {DERIVATIVE[kind]('h')}")
    words = f"h = {kind}(x W + h_prev U + b)"
    name = {"tanh": "rnn", "relu": "rnn-relu", "sigmoid": "rnn-sigmoid"}[kind]
    return Reference(name, words, ("a",), ("h",), {"h": (kind, "a")}, step, (*lines, *_affine("a")))


def _lstm(name: str, out: str, forget: float = 0.0) -> Reference:
    def step(p: Params, now: Params) -> Params:
        a = {f"a_{g}": _a(p, g, now) for g in "ifog"}
        a["a_f"] = a["a_f"] + forget
        i, f, o, g = *(sigmoid(a[f"a_{k}"]) for k in "ifo"), np.tanh(a["a_g"])
        c = f * now["c_prev"] + i * g
        tanh_c = np.tanh(c)
        h = o * (tanh_c if out == "tanh(c)" else c)
        return {**now, **a, "i": i, "f": f, "o": o, "g": g, "c": c, "tanh(c)": tanh_c, "h": h}

    lines = _lines(f"""
dh = dy + dh_next
dc = dc_next + dy_c + dh * o{" * 1-tanh²(c)" if out == "tanh(c)" else ""}
do = dh * {out}
df = dc * c_prev
di = dc * g
dg = dc * i
dc_prev = dc * f
da_i = di * i(1-i)
da_f = df * f(1-f)
da_o = do * o(1-o)
da_g = dg * 1-g²""")
    kinds = {**{k: ("sigmoid", f"a_{k}") for k in "ifo"}, "g": ("tanh", "a_g"), "tanh(c)": ("tanh", "c")}
    words = f"i, f, o = σ(a), g = tanh(a_g), c = f c_prev + i g, h = o {out}"
    words += f", with {forget:g} added to a_f" if forget else ""
    return Reference(name, words, tuple("ifog"), ("h", "c"), kinds, step, (*lines, *_affine("ifog")))


def _gru(name: str, after: bool, opposite: bool) -> Reference:
    keep, take = ("1-z", "z") if opposite else ("z", "1-z")

    def step(p: Params, now: Params) -> Params:
        a_r, a_z, h_prev = _a(p, "r", now), _a(p, "z", now), now["h_prev"]
        r, z = sigmoid(a_r), sigmoid(a_z)
        now = {**now, "a_r": a_r, "a_z": a_z, "r": r, "z": z, "1-z": 1 - z, "q": r * h_prev}
        if after:
            now["a_m"] = h_prev @ p["U_n"] + p.get("b_h_n", np.zeros((1, h_prev.shape[1])))
            now["a_n"] = now["x"] @ p["W_n"] + p.get("b_n", 0) + r * now["a_m"]
        else:
            now["a_n"] = _a(p, "n", now, "q")
        n = np.tanh(now["a_n"])
        return {**now, "n": n, "h": now[keep] * h_prev + now[take] * n}

    first, second = ("n", "h_prev") if opposite else ("h_prev", "n")
    lines = _lines(f"""
dh = dy + dh_next
dz = dh * {first} - dh * {second}
dn = dh * {take}
da_n = dn * 1-n²
{"da_m = da_n * r" if after else "dq = da_n @ U_n.T"}
dr = {"da_n * a_m" if after else "dq * h_prev"}
da_r = dr * r(1-r)
da_z = dz * z(1-z)""")
    carry = f"dh * {keep} + " + ("" if after else "dq * r + ")
    affine = _affine("rzn", carry, "da_m" if after else "", "" if after else "q")
    mix = f"h = {keep} h_prev + {take} n".replace("1-z", "(1 - z)")
    inner = "r (h_prev U_n + b_hn)" if after else "(r h_prev) U_n"
    kinds = {"r": ("sigmoid", "a_r"), "z": ("sigmoid", "a_z"), "n": ("tanh", "a_n")}
    words = f"r, z = σ(a), n = tanh(x W_n + b_n + {inner}), {mix}"
    return Reference(name, words, tuple("rzn"), ("h",), kinds, step, (*lines, *affine), after)


CELLS: tuple[Reference, ...] = (
    *(_rnn(kind) for kind in ("tanh", "relu", "sigmoid")),
    _lstm("lstm", "tanh(c)"),
    _lstm("lstm", "tanh(c)", forget=1.0),
    _lstm("lstm-linear", "c"),
    *(
        _gru(name, after, opposite)
        for name, after in (("gru", True), ("gru-cho", False))
        for opposite in (False, True)
    ),
)
"""The cells that are known; those of one name differ by what words say: the sense of z, a forget bias."""


def slips(cell: Reference, T: int) -> Iterator[Reference]:
    """Yield the cell with the mistakes that people make in a forward; the backward stays the right one's.

    Parameters
    ----------
    cell : Reference
    T : int
        The number of steps: a state that stays where it was shows from the second on.
    """

    def slipped(
        change: Callable[[Params, Params], tuple[Params, Params]], slug: str, says: str, fix: str
    ) -> Reference:
        def step(p: Params, now: Params) -> Params:
            return cell.step(*change(p, now))

        words = f"{cell.words}; but {says}"
        return replace(cell, step=step, words=words, slip=(slug, f"in the forward, {says}", fix))

    for states in (cell.states, *([("h",)] if len(cell.states) > 1 else [])) if T > 1 else ():
        names = " and ".join(f"{s}_prev" for s in states)
        says = f"{names} stay{'' if len(states) > 1 else 's'} what came in first, at every step"
        yield slipped(
            lambda p, now, states=states: (p, {**now, **{f"{s}_prev": p[f"{s}0"] for s in states}}),  # type: ignore[misc]
            f"forward-{'-and-'.join(states)}-prev-stuck",
            says,
            "; ".join(f"{s}_prev = {s} of the step before" for s in states),
        )
    for gate, other in permutations(cell.gates, 2):
        yield slipped(
            lambda p, now, gate=gate, other=other: ({**p, f"b_{gate}": p.get(f"b_{other}", 0)}, now),  # type: ignore[misc]
            f"forward-b-{other}-for-b-{gate}",
            f"b_{other} stands where b_{gate} belongs",
            f"a_{gate} = x @ W_{gate} + h_prev @ U_{gate} + b_{gate}",
        )
