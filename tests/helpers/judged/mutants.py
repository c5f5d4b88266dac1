"""All wrong files of `written`, `people` and the public styles, each with an example of its call."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from judged.people import _shape, drawn, source
from judged.people_faults import mutants as people_mutants
from judged.people_lines import Names, Style
from judged.public_functions import FUNCTIONS
from judged.public_layers import LAYERS
from judged.public_models import MODELS
from judged.written_faults import CHUNK_FAULTS, GRU_AFTER_FAULTS, GRU_FAULTS, LSTM_FAULTS, OUTSIDE, RNN_FAULTS
from judged.written_texts import CHUNK, GRU, GRU_AFTER, LSTM, RNN

_PARTS = re.split(
    r"^=== (.*)\n", (Path(__file__).parent / "public_examples.txt").read_text("utf-8"), flags=re.M
)
EXAMPLES = dict(zip(_PARTS[1::2], _PARTS[2::2], strict=True))
HEAD = "import numpy as np\n\n\ndef sigmoid(a):\n    return 1 / (1 + np.exp(-a))\n\n"
T, N, D, H, V = 3, 2, 3, 4, 5
WRITTEN = {
    "rnn": (RNN, "a", RNN_FAULTS),
    "lstm": (LSTM, "ifog", LSTM_FAULTS),
    "gru-cho": (GRU, "rzn", GRU_FAULTS),
    "gru": (GRU_AFTER, "rzn", GRU_AFTER_FAULTS),
}


class Mutant(NamedTuple):
    """A file with a fault in it.

    Parameters
    ----------
    form
        The kind of file.
    fault
        The kind of fault.
    right, text
        The file without it and with it.
    example
        How it is called.
    """

    form: str
    fault: str
    right: str
    text: str
    example: str

    @property
    def lines(self) -> set[int]:
        """The lines that are wrong, and those beside what was taken out."""
        pairs = difflib.SequenceMatcher(None, self.right.splitlines(), self.text.splitlines()).get_opcodes()
        found: set[int] = set()
        for kind, _, _, start, stop in pairs:
            if kind != "equal":
                found |= set(range(start + 1, stop + 1)) or {start, start + 1}
        return found


def every(seed: int = 0) -> list[Mutant]:
    """Return all mutants; of `people` those of a hundred styles."""
    return [*written(), *public(), *people(np.random.default_rng(seed), 100)]


def written() -> Iterator[Mutant]:
    """Yield a sequence with each of the faults that were named."""
    for cell, (text, order, faults) in WRITTEN.items():
        right = filled(text, order)
        pairs = [(old, new, name) for old, news in faults.items() for new, name in news.items()]
        pairs += [(old, new, name) for name, (of, old, new) in OUTSIDE.items() if of == cell]
        for old, new, name in pairs:
            old, new = (filled(part, order, head="") for part in (old, new))
            if right.count(old):
                yield Mutant(
                    f"written {cell}", name, right, right.replace(old, new, 1), sequence_example(cell)
                )
    for old, news in CHUNK_FAULTS.items():
        for new, name in news.items():
            yield Mutant(
                "written chunk", name, HEAD + CHUNK, HEAD + CHUNK.replace(old, new, 1), CHUNK_EXAMPLE
            )


def filled(text: str, order: str, head: str = HEAD) -> str:
    """Return a text of `written_texts` with its gates in an order."""
    for word, form in (
        ("ORDER", "a{}"),
        ("RECUR ", "U{} "),
        ("PARTS", "m{}"),
        ("DELTAS", "da{}"),
        ("PRODUCTS", "dU{}"),
    ):
        names = ", ".join(form.format(gate).strip() for gate in order)
        text = text.replace(word, names + " " * word.endswith(" "))
    text = text.replace("RECURRENT", ", ".join("dmn" if g == "n" else f"da{g}" for g in order))
    return head + text.replace("UNTRANSPOSED", "np.vstack(np.split(Wh, 4, axis=1))")


def sequence_example(cell: str) -> str:
    states = ["h0", "c0"] if cell == "lstm" else ["h0"]
    weights = ["Wx", "Wh", "b", *(["bh"] if cell == "gru" else [])]
    wide = {"rnn": H, "lstm": 4 * H}.get(cell, 3 * H)
    shapes = {
        "x": (T, N, D),
        "h0": (N, H),
        "c0": (N, H),
        "Wx": (D, wide),
        "Wh": (H, wide),
        "b": (wide,),
        "bh": (wide,),
    }
    names = ["x", *states, *weights]
    last = [f"{state[0]}_last" for state in states]
    lines = [f"{name} = np.random.randn{shapes[name]}" for name in names]
    lines += [f"hs, {', '.join(last)}, cache = forward({', '.join(names)})"]
    handed = [f"np.random.randn{(T, N, H)}", *[f"np.random.randn{(N, H)}"] * len(last), "cache", *weights]
    return "\n".join([*lines, f"{', '.join('d' + n for n in names)} = backward({', '.join(handed)})"])


CHUNK_EXAMPLE = f"""h, Wxh = np.random.randn({H}, 1), np.random.randn({H}, {V})
Whh = np.random.randn({H}, {H})
Why, bh, by = np.random.randn({V}, {H}), np.random.randn({H}, 1), np.random.randn({V}, 1)
loss, grads = chunk([0, 1, 3, 1], [1, 3, 1, 2], h, Wxh, Whh, Why, bh, by)"""


def public() -> Iterator[Mutant]:
    """Yield the styles in which people publish code, each with its fault."""
    for name, style in {**FUNCTIONS, **LAYERS, **MODELS}.items():
        wrong = style.text.replace(style.right, style.wrong)
        yield Mutant(f"public: {name}", f"{style.wrong} for {style.right}", style.text, wrong, EXAMPLES[name])


def people(rng: np.random.Generator, count: int) -> Iterator[Mutant]:
    """Yield whole files in drawn styles, each with each of the faults that it can have."""
    for _ in range(count):
        style = replace(drawn(rng), single=False)
        for mutation, text in people_mutants(style):
            name = f"{mutation.number}: {mutation.instead}"
            yield Mutant(
                f"people {style.form} {style.cell}", name, source(style), text, people_example(style)
            )


def people_example(s: Style) -> str:
    """Return how a file of a style is called."""
    names, lstm, rows = Names(s), s.cell == "lstm", s.rows
    weights, states = names.weights(), ["h", "c"] if lstm else ["h"]
    chunk = s.form == "chunk"
    batch = 1 if chunk else N

    def array(*shape: int) -> str:
        return f"np.random.randn({', '.join(map(str, shape))})"

    def two(wide: int) -> tuple[int, ...]:
        return (batch, wide) if rows else (wide, batch)

    order = ["c", "h"] if lstm and s.c_first else states
    state, grads = ", ".join(states), ", ".join(f"d{w}" for w in weights)
    if s.form in ("step", "sequence"):
        shapes = {w: re.sub(r"hidden_size", str(H), _shape(s, names, w, str(D))) for w in weights}
        lines = [f"{w} = np.random.randn({shape})" for w, shape in shapes.items()]
        lines += [f"{n}0 = {array(*two(H))}" for n in states]
        through = s.form == "sequence"
        axes = (N, T) if s.batch_first and rows else (T, N) if rows else (T,)
        x, dy = ([*axes, wide] if rows else [T, wide, N] for wide in (D, H))
        lines += [f"x = {array(*x) if through else array(*two(D))}"]
        given = ", ".join(["x", *(f"{n}0" for n in states), *weights])
        kind = "" if through else "_step"
        out = "hs" if through else state
        lines += [f"{out}, cache = {s.cell}{kind}_forward({given})"]
        handed = array(*dy) if through else ", ".join(array(*two(H)) for _ in order)
        back = ", ".join(["dx", *(f"d{n}0" for n in states), grads])
        return "\n".join([*lines, f"{back} = {s.cell}{kind}_backward({handed}, cache)"])
    if chunk:
        lines = ["hidden_size = 4", "vocab_size = 5", *(f"{n}0 = {array(*two(H))}" for n in states)]
        lasts = ", ".join(["_"] * len(states))
        call = f"loss_fun([0, 1, 3, 1], [1, 3, 1, 2], {', '.join(f'{n}0' for n in states)})"
        return "\n".join([*lines, f"loss, {grads}, dWhy, dby, {lasts} = {call}"])
    handed = ", ".join(f"d{n}" for n in order)
    lines = [f"{n}0 = {array(*two(H))}" for n in states] + [f"d{n} = {array(*two(H))}" for n in states]
    given = ", ".join(f"{n}0" for n in states)
    if s.form == "class":
        lines += [
            f"net = {s.cell.upper()}({D}, {H})",
            f"{state}, cache = net.forward({array(*two(D))}, {given})",
        ]
        return "\n".join(
            [*lines, f"dx, {', '.join(f'd{n}0' for n in states)}, grads = net.backward({handed}, cache)"]
        )
    hot = "np.eye(5)[[1, 3]]" + ("" if rows else ".T")
    lines += [
        f"net = {s.cell.upper()}Model({V}, {H})",
        f"p, {state}, cache = net.forward({array(*two(V))}, {given})",
    ]
    nexts = ", ".join(f"d{n}0" for n in states)
    return "\n".join([*lines, f"grads, {nexts} = net.backward(p, {hot}, {handed}, cache)"])
