"""Cells that are damaged at random: each is read and works, or is refused in a line.

``python tests/helpers/fuzz_cells.py --cells 1000 --seed 0`` tries many and prints what became of them; the
tests try a few. Each is tried in a forked child that has a time and a memory of its own.
"""

import argparse
import contextlib
import os
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import bptt
from bptt.derive import EquationCell, page, read
from bptt.errors import BpttError, ZeroGradientWarning
from bptt.types import Generator
from bptt.zoo import record
from bptt.zoo.equations import ZOO
from bptt.zoo.loading import load
from hostile.forked import forked
from random_cells import random_cell

# ruff: noqa: SIM905  lists of words

SECONDS = 20
BYTES = 2**30
"""What a cell may take at most, of a processor's time and of memory beyond what the process has."""

FORMATS = ("text", "latex", "markdown", "html", "numpy", "torch")
NUMBERS = (
    *"0 1 -1 0.5 1e400 1e308 5e-324 9**9 10**400 nan 1j True None ''".split(),
    *("0x" + "f" * 300, "9" * 5000, "-0.0", "1_0", "1e-320", "64", "65", "0.1"),
)
OPERATORS = tuple("+ - * / ** // % @ < > <= == , = += ( ) : .".split())
FUNCTIONS = tuple("sigmoid tanh relu exp log softplus sqrt abs max min where np.exp eval sum float σ".split())
NAMES = (
    *"a_i a_f h c h_prev c_prev dh dh_next x W U_n b q kept np lambda self __debug__ E I pi N len".split(),
    *"print ﬁ ℌ σ a_ x_h u_h p params dict tape d _ tanh tanh_c max_1 async None a_h a_p numpy inf".split(),
    "n" * 300,
)
CHARACTERS = (
    *("\0", "\x1b[31m", "\n", "\t", " ", "\r", "\\", "'", '"', "#", "(", ")", "é", "\u202e", "\ud800", "🙂"),
    *("\x0c", "²", "½", ";", ":", "@", "{", "}", "[", "]", "\ufeff", "·"),
)
OPTIONS = (
    *("state='h'", "state='h c'", "state=''", "state=5", "state=None", "state='h h'", "state='h_prev'"),
    *("params='p'", "params={'p': (1, 2, 3)}", "params={'p': float}", "params={'p': 1e999}", "params='W'"),
    *("params='a_h'", "operand={'a_n': 'q'}", "operand={'a_h': 'h'}", "operand=[]", "operand={1: 2}"),
    *("bias=None", "bias=False", "name='a\\0b'", "name='\\x1b[31m'", "name=''", "name='x'", "**{}", "*()"),
    "init={'a_h': 1}",
)
TOKEN = re.compile(r"[\w.]+|\*\*|[-+*/=(),:<>@\n]| +")


def damaged(seed: int) -> str:
    """Return the text of a cell with some damage."""
    rng = np.random.default_rng([seed, 7])
    zoo = [c.equations.text for c in ZOO.values()]
    is_random = rng.random() < 0.25
    text = random_cell(seed, lines=3).replace("OUTSIDE", "0.3") if is_random else zoo[rng.integers(len(zoo))]
    for _ in range(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1])):
        kind = _KINDS[rng.choice(len(_KINDS), p=_WEIGHTS)]
        text = kind(rng, text)
    return text


def _one(rng: Generator, options: Any) -> str:
    return str(options[rng.integers(len(options))])


def _character(rng: Generator, text: str) -> str:
    at = int(rng.integers(len(text) + 1))
    gone = int(rng.integers(3))
    return text[:at] + _one(rng, (*CHARACTERS, "")) + text[at + gone :]


def _token(rng: Generator, text: str) -> str:
    """Replace, double, remove or move a token."""
    tokens = TOKEN.findall(text)
    if not tokens:
        return text
    at, other = (int(k) for k in rng.integers(len(tokens), size=2))
    match rng.integers(4):
        case 0:
            tokens[at] = tokens[other]
        case 1:
            tokens.insert(at, tokens[at])
        case 2:
            del tokens[at]
        case _:
            tokens[at], tokens[other] = tokens[other], tokens[at]
    return "".join(tokens)


def _swapped(pattern: str, options: tuple[str, ...]) -> Any:
    def swap(rng: Generator, text: str) -> str:
        found = list(re.finditer(pattern, text))
        if not found:
            return text
        which = found[rng.integers(len(found))]
        new = _one(rng, options)
        if rng.random() < 0.3:  # everywhere
            return re.sub(rf"(?<!\w){re.escape(which[0])}(?!\w)", lambda _: new, text)
        return text[: which.start()] + new + text[which.end() :]

    return swap


def _value(rng: Generator, text: str) -> str:
    """Write something else for a name or a number in the body."""
    found = list(re.finditer(r"(?<=[=(,+\-*/] )\w+|(?<=\()\w+", text))
    if not found:
        return text
    at = found[rng.integers(len(found))]
    name = at[0]
    deep = int(rng.choice([1, 2, 5, 20, 59, 61, 100, 3000]))
    f = _one(rng, FUNCTIONS[:8])
    options = (
        _one(rng, NUMBERS),
        f"{f}(" * min(deep, 300) + name + ")" * min(deep, 300),
        "-" * deep + name,
        "(" + f" {_one(rng, OPERATORS[:5])} ".join([name] * min(deep, 1000)) + ")",
        f"where({name} {_one(rng, ('<', '>', '<=', '=='))} {_one(rng, (name, '0', '1e400'))}, {name}, 1)",
        f"{_one(rng, ('max', 'min'))}({_one(rng, NUMBERS)}, {name})",
        f"{name} ** {_one(rng, NUMBERS)}",
        f"({name} - {name})",
        f"({name} / ({name} - {name}))",
        f"({name} + {_one(rng, NAMES)})",
        f"{name}.T",
        f"{name}[0]",
        f"(lambda: {name})()",
        f"({name} if {name} else 0)",
        f"exp(exp(exp({name})))",
    )
    return text[: at.start()] + _one(rng, options) + text[at.end() :]


def _line(rng: Generator, text: str) -> str:
    """Repeat, remove, move or indent a line."""
    lines = text.splitlines()
    if not lines:
        return text
    at, to = (int(k) for k in rng.integers(len(lines), size=2))
    match rng.integers(5):
        case 0:
            lines[at:at] = [lines[at]] * int(rng.choice([1, 2, 10, 100, 1000]))
        case 1:
            del lines[at]
        case 2:
            lines.insert(to, lines.pop(at))
        case 3:
            lines[at] = _one(rng, (" ", "    ", "\t")) + lines[at]
        case _:
            other = random_cell(int(rng.integers(100)), lines=1).splitlines()
            lines.insert(to, other[rng.integers(len(other))])
    return "\n".join(lines) + "\n"


def _option(rng: Generator, text: str) -> str:
    at = text.find(")")
    return text[:at] + ", " + _one(rng, OPTIONS) + text[at:] if rng.random() < 0.5 else re.sub(
        r"\(.*\)", lambda _: f"({_one(rng, OPTIONS)})", text, count=1
    )  # fmt: skip


_KINDS = (
    _character,
    _token,
    _swapped(r"(?<![\w.])\d[\w.]*", NUMBERS),
    _swapped(r" (\*\*|[-+*/=<>]) ", tuple(f" {o} " for o in OPERATORS)),
    _swapped(r"(?<!\w)[a-z]\w*(?=\()", FUNCTIONS),
    _swapped(r"(?<![\w.'])[A-Za-z_]\w*(?![\w(])", NAMES),
    _value,
    _line,
    _option,
)
_WEIGHTS = np.array([2, 2, 1, 1, 1, 2, 5, 2, 1]) / 17


def use(text: str, kind: int) -> str:
    """Do with a cell's text what is done with cells, and return how far it came."""
    if kind == 0:
        kept = record.from_json({"name": "fuzzed", "equations": text})
        assert isinstance(kept, EquationCell)
        cell = kept
    elif kind == 1:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "cells.py")
            file.write_bytes(
                f"import bptt\nimport numpy as np\nimport math\n{text}".encode(errors="surrogatepass")
            )
            cell = load(os.fspath(file))
    else:
        cell = EquationCell(read(text, file="cells.py"))
    for form in FORMATS[: 1 + 5 * (kind == 2)]:
        page(cell, form)
    model = bptt.Model(inputs=5, outputs=5, hidden=3, cell=cell, backend="reference")
    rng = np.random.default_rng(0)
    params = model.init(rng)
    tokens = rng.integers(5, size=(5, 2))
    with np.errstate(all="ignore"):  # as a trainer has it
        for _ in range(2):
            _, grads, _ = model.loss_and_grads(params, tokens[:-1], tokens[1:])
            params = {name: value - np.float32(0.1) * grads[name] for name, value in params.items()}
    again = record.from_json(record.to_json(cell))
    assert isinstance(again, EquationCell)
    assert record.same(cell, again), "written down and read again it is another"
    return "works"


def tried(text: str, kind: int) -> str:
    """Return what becomes of a cell in a child: "works", the class of an error, or "FAULT: ..."."""
    outcome = forked(lambda: _in_child(text, kind), seconds=10 * SECONDS, memory=BYTES)
    if outcome.code < 0:
        return f"FAULT: ended by signal {-outcome.code}: {SECONDS} s are over, or memory"
    return outcome.out or f"FAULT: {outcome.err}"


def _in_child(text: str, kind: int) -> int:
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of its own, however busy the machine is
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", ZeroGradientWarning)
    sys.modules["torch"] = None  # type: ignore[assignment]  # its threads do not outlive a fork
    if kind == 1:  # what a file itself does when it is run is its own affair
        warnings.simplefilter("ignore", SyntaxWarning)
    with contextlib.redirect_stdout(None):
        said = _said(text, kind)
    print(said.encode(errors="replace").decode(), end="")
    return 0


def _said(text: str, kind: int) -> str:
    try:
        return use(text, kind)
    except BpttError as error:
        says = str(error)
        if "\n" in says or not says or len(says) > 2000:
            return f"FAULT: {type(error).__name__} of more than a line: {says!r}"
        if "fault of bptt" in says:
            return f"FAULT: {says}"
        return type(error).__name__
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-4:]))
        return f"FAULT: {type(error).__name__}: {str(error)[:300]} at {place}"


def main() -> int:
    """Try many cells, print what became of them, and each fault with its seed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    counts: Counter[str] = Counter()
    slowest = (0.0, 0)
    warm()
    for seed in range(asked.seed, asked.seed + asked.cells):
        start = time.perf_counter()
        said = tried(damaged(seed), seed % 3)
        slowest = max(slowest, (time.perf_counter() - start, seed))
        counts[said if not said.startswith("FAULT") else "FAULT"] += 1
        if said.startswith("FAULT"):
            print(f"seed {seed}: {said}", flush=True)
    print(*(f"{count:6} {said}" for said, count in counts.most_common()), sep="\n")
    print(f"slowest: {slowest[0]:.1f} s, seed {slowest[1]}")
    return int(counts["FAULT"] > 0)


def warm() -> None:
    """Import what children would each import."""
    for form in FORMATS[:-1]:
        page(ZOO["gru-cho"], form)
    use(ZOO["rnn"].equations.text, 0)


if __name__ == "__main__":
    sys.exit(main())
