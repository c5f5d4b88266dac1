"""What a new user gets wrong in a cell file: one line each, with the file, the line, and the way out.

A file is loaded as the command line does it. ``>>`` in a text marks the line that the message must name.
"""

from pathlib import Path

import pytest

import bptt
from bptt.cli import run
from bptt.derive import EquationError, read
from bptt.errors import BpttError
from bptt.zoo.equations import ZOO
from bptt.zoo.loading import load

HEAD = """\
import math
import numpy as np
import bptt
"""


LSTM = """
@bptt.cell(state="h c")
def mine(a_i, a_f, a_o, a_g, c):
    i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c
"""


def body(*lines: str, arguments: str = "a_f, a_g, h, p=2.0", state: str = '"h"', more: str = "") -> str:
    head = f"@bptt.cell(state={state}{more})\ndef mine({arguments}):\n    f, g = sigmoid(a_f), tanh(a_g)\n"
    return head + "".join(f"    {line}\n" for line in (*lines, "h = f * h + (1 - f) * g", "return h"))


def head(decorator: str, arguments: str = "a_f, h", returned: str = "h") -> str:
    text = f"{decorator}\n>>def mine({arguments}):\n    h = sigmoid(a_f) * h\n    return {returned}\n"
    return text if decorator.strip() else text.lstrip()


WRONG: dict[str, tuple[str, str]] = {
    # what is no equation
    "unknown function": (body(">>g = arctan(a_g)"), "the function arctan is not known; there are sigmoid,"),
    "a function of the file": (
        "def swish(x):\n>>    return x * sinh(x)\n" + body("g = swish(a_g)"),
        "sinh is not known: a helper above says it, def sinh(u): return (exp(u) - exp(-u)) / 2",
    ),
    "a loop": (body(">>for k in range(3):", "    g = tanh(g)"), "a loop: a step holds no loop"),
    "a while loop": (body(">>while True:", "    g = tanh(g)"), "a loop: a step holds no loop"),
    "a comprehension": (body(">>g = sum([g for k in range(3)])"), "a loop: a step holds no loop"),
    "an if on a value": (body(">>if f > 0.5:", "    g = f"), "an if: ... where(a > b, this, that)"),
    "an if expression": (body(">>g = g if f > 0.5 else f"), "an if: ... where(a > b, this, that)"),
    "a match": (body(">>match f:", "    case _:", "        g = f"), "an if: the choice"),
    "a name before it is set": (
        body(">>g = g * later", "later = g"),
        "later is not known here: ... further down",
    ),
    "a name never set": (body(">>g = g * other"), "other is not known: no argument"),
    "a state to a state's power": (body(">>g = g ** h"), "a power is a number; write exp(y * log(x))"),
    "a number to a state's power": (body(">>g = 2 ** h"), "a power is a number; write exp(y * log(x))"),
    "a huge power": (body(">>g = g ** 1e6"), "the power 1e+06: at most 64"),
    "a power of no size": (body(">>g = g ** 1e999"), "a number beyond 1.8e308"),
    "a product of matrices": (body(">>g = g @ h"), "a matrix product: it is outside"),
    "a matrix product's assignment": (body(">>g @= h"), "a matrix product: it is outside"),
    "an index": (body(">>g = g[0]"), "an index: the equations are those of one hidden unit"),
    "a slice set": (body(">>g[1:] = h"), "an equation sets a name"),
    "a division's floor": (body(">>g = g // 2"), "g // 2: write floor(a / b)"),
    "an assignment with a whole quotient": (body(">>g //= 2"), "g // 2: write floor(a / b)"),
    "a comparison": (body(">>g = (f > 0.5) * g"), "a comparison stands in where(...) only"),
    "two comparisons": (body(">>g = where(0 < f < 1, g, f)"), "where(c > d, this, that), that) is a and b"),
    "no comparison": (body(">>g = where(f, g, f)"), "where(...) compares two values first"),
    "equal values": (body(">>g = where(f == 0, g, f)"), "compared by < <= > >="),
    "and": (body(">>g = where(f > 0 and f < 1, g, f)"), "where(...) compares two values"),
    "not": (body(">>g = not f"), "not f: an equation is arithmetic"),
    "a lambda": (body(">>s = lambda x: x"), "a lambda: write its equation out, or a helper: def swish(u)"),
    "a walrus": (body(">>g = (s := g) * s"), "a := inside an expression"),
    "a method": (body(">>g = g.clip(0, 1)"), "g is a value and has no functions; clip(g, 0, 1) is meant"),
    "a value called": (body(">>g = f(h)"), "f is a value and has no functions; f * (...) multiplies"),
    "an attribute": (body(">>g = g.T"), "g.T: a value is a number of each hidden unit"),
    "another's attribute": (
        body(">>g = g * settings.rate"),
        "settings.rate is not known: give the number a name",
    ),
    "a text": (body(">>g = 'tanh'"), "'tanh': an equation is arithmetic"),
    "a bool": (body(">>g = g * True"), "True: an equation is arithmetic"),
    "None": (body(">>g = None"), "None: an equation is arithmetic"),
    "a complex number": (body(">>g = g * 1j"), "1j: a complex value is two"),
    "a number too large": (body(">>g = g * 1" + "0" * 400), "a number beyond 1.8e308"),
    "1 / 0": (body(">>g = g + 1 / 0"), "1 / 0 is a division by zero"),
    "a division by nothing": (body(">>g = g / (p - 2)"), "g / (p - 2) is a division by zero"),
    "0 to the power -1": (body(">>g = g + 0 ** -1"), "0 ** ... is no number"),
    "a root of -1": (body(">>g = g * (-1) ** 0.5"), "is no number"),
    "a logarithm of 0": (body(">>g = g * log(0)"), "log(0) is -inf and no number"),
    "a number set below": (
        body(">>g = g * RATE") + "RATE = 0.5\n",
        "RATE is not known: no argument, set by no equation, and no number set above in the file",
    ),
    "no end": (
        body(">>g = " + " + ".join(["g * f"] * 900)),
        "an equation is nested more than 60 deep: give parts of it names",
    ),
    "a list": (body(">>g = [f, g]"), "a list: an equation is arithmetic"),
    "an f-string": (body(">>g = f'{g}'"), "a text: an equation is arithmetic"),
    "a starred value": (body(">>g = max(*f)"), "a *: values and names are written one by one"),
    "a keyword argument": (body(">>g = tanh(x=g)"), "tanh takes 1 value, by position; got x=g"),
    "too many values": (body(">>g = max(f, g, h)"), "max takes 2 values: max(max(a, b), c); got f, g, h"),
    "too few values": (body(">>g = where(f > 0)"), "where takes 3 values; got f > 0"),
    "a function as a value": (body(">>g = tanh * g"), "tanh is a function: tanh("),
    "a builtin as a value": (body(">>g = print"), "print is a function: print("),
    "a function's name": (body(">>exp = tanh(a_g)"), "exp is a function in equations: call the value"),
    "a name of the code's": (body(">>np = tanh(a_g)"), "np has a meaning in the code"),
    "fewer values than names": (body(">>f, g = tanh(a_g)"), "as many values as names"),
    "more names than values": (body(">>f, g, s = tanh(a_g), f"), "as many values as names"),
    "a starred name": (body(">>f, *g = tanh(a_g), f"), "an equation sets a name"),
    "print": (body(">>print(g)"), "print(g): an equation sets a name"),
    "an assert": (body(">>assert g"), "an assert: an equation sets a name"),
    "an import": (body(">>import torch"), "an import: functions need none"),
    "a global": (body(">>global other"), "a global: a cell has no memory but its states"),
    "a yield": (body(">>yield g"), "a yield: a step returns its states"),
    "a with": (body(">>with g:", "    pass"), "a with statement"),
    "a try": (body(">>try:", "    g = f", "finally:", "    pass"), "a try statement"),
    "the state before, set": (body(">>h_prev = tanh(f)"), "h_prev is the state h before the step"),
    # what is returned
    "no return": (
        '@bptt.cell(state="h")\n>>def mine(a_f, h):\n    h = sigmoid(a_f) * h\n',
        "the function ends without returning its states: return h",
    ),
    "too few states": (
        LSTM.replace("    return h, c", ">>    return h"),
        "returns 1 value; the states are 2: h, c",
    ),
    "too many states": (body(">>return h, g").rsplit("    h =", 1)[0], "returns 2 values; the state is h"),
    "nothing returned": (body(">>return").rsplit("    h =", 1)[0], "returns 0 values; the state is h"),
    "return in the middle": (body(">>return h"), "nothing can follow the return"),
    # what is taken
    "an argument of no kind": (
        head('@bptt.cell(state="h")', "a_f, h, z"),
        "the argument z is neither a gate",
    ),
    "self": (head('@bptt.cell(state="h")', "self, a_f, h"), "a cell is no method, and has no self"),
    "star args": (head('@bptt.cell(state="h")', "a_f, h, *rest"), "the arguments are named one by one"),
    "star star args": (head('@bptt.cell(state="h")', "a_f, h, **rest"), "the arguments are named one by one"),
    "no gate": (
        '@bptt.cell(state="h")\n>>def mine(h):\n    return 0.5 * h\n',
        "a cell has at least one gate: an argument such as a_h",
    ),
    "an unused gate": (
        head('@bptt.cell(state="h")', "a_f, a_g, h"),
        "a_g is used nowhere: its weights could not",
    ),
    "a gate of a dead value": (body("s = a_s", arguments="a_f, a_g, a_s, h"), "mine.py:5: ...a_s is used"),
    "an unused parameter": (
        head('@bptt.cell(state="h", params="p")', "a_f, h, p"),
        "the parameter p is used nowhere",
    ),
    "a state twice": (head('@bptt.cell(state="h")', "a_f, h, h_prev"), "the state h is an argument twice"),
    "a gate with a value": (head('@bptt.cell(state="h")', "a_g, h, a_f=1.0"), 'init={"a_f": 1.0}'),
    "a state with a value": (head('@bptt.cell(state="h")', "a_f, h=0.0"), "a state has no value here"),
    "a parameter with a value": (
        head('@bptt.cell(state="h", params="p")', "a_f, h, p=0.1"),
        'where it starts stands in params={"p": 0.1}',
    ),
    "a constant that is none": (
        head('@bptt.cell(state="h")', "a_f, h, p=None"),
        "the constant p must be a number",
    ),
    "a constant that is a bool": (
        head('@bptt.cell(state="h")', "a_f, h, p=True"),
        "the constant p must be a n",
    ),
    "a constant without end": (
        head('@bptt.cell(state="h")', "a_f, h, p=math.inf"),
        "this is inf and no number",
    ),
    "a gradient's name": (
        LSTM.replace("def", ">>def").replace("i, f", "dc = tanh(a_g)\n    c = c * dc\n    i, f"),
        "dc is what the gradient at c is called",
    ),
    "a carried gradient's name": (
        LSTM.replace("def", ">>def").replace("i, f", "dc_next = tanh(a_g)\n    c = c * dc_next\n    i, f"),
        "dc_next is what the gradient at c from the step after is called",
    ),
    "a parameter whose gradient is a carried one's": (
        '@bptt.cell(state="c", params="c_next")\n>>def mine(a_f, c, c_next):\n    return a_f + c * c_next\n',
        "the gradient at c_next would be called dc_next, as the gradient at c from the step after is",
    ),
    "a state whose gradient is a carried one's": (
        '@bptt.cell(state="dc dc_next")\n>>def mine(a_f, dc_next):\n    return a_f, dc_next * a_f\n',
        "the gradient at dc_next would be called ddc_next",
    ),
    "the sign of a sum": (
        '@bptt.cell(state="h", params="Σ")\n>>def mine(a_f, h, Σ):\n    return a_f + h * Σ\n',
        "Σ is what the sum over time is called",
    ),
    # the decorator
    "a state that is no name": (head('@bptt.cell(state="h 2c")'), 'state= must be names, as in state="h c"'),
    "a state of no kind": (head("@bptt.cell(state=3)"), 'state= must be names, as in state="h c"; got 3'),
    "no state": (head('@bptt.cell(state="")'), "state= must name the states, the output first"),
    "a state named twice": (head('@bptt.cell(state="h h")'), "state= names something twice"),
    "a state that is a gate": (head('@bptt.cell(state="h a_c")'), "begin the name of a gate"),
    "a keyword as a state": (head('@bptt.cell(state="h lambda")'), "state= must be names"),
    "a decorator without a call": (
        LSTM.replace('(state="h c")', "").replace("def", ">>def"),
        "the argument c is neither a gate",
    ),
    "params that are no argument": (
        head('@bptt.cell(state="h", params="w")'),
        "params= names w, which is no arg",
    ),
    "params of no kind": (head('@bptt.cell(state="h", params=3)'), "params= must be names"),
    "params that start nowhere": (
        head('@bptt.cell(state="h", params={"p": "zero"})', "a_f, h, p"),
        "params= 'p': where it starts is a number or a pair",
    ),
    "a parameter named as a layer's": (
        head('@bptt.cell(state="h", params="b")', "a_f, h, b"),
        "the parameter b has the name of a layer's own (W, U, b, b_h): call it b_0, say",
    ),
    "a parameter that begins as a gate": (
        head('@bptt.cell(state="h", params="u_f")', "a_f, h, u_f"),
        "call it w_f, say",
    ),
    "the shape of a value": (
        head('@bptt.cell(state="h", shapes={"r": "row"})'),
        "that of a value follows from what it is made of",
    ),
    "a parameter named as a gate": (
        head('@bptt.cell(state="h", params="f")', "a_f, h, f"),
        "a_f and f have one name (f)",
    ),
    "an operand of no gate": (
        head('@bptt.cell(state="h", operand={"a_n": "q"})'),
        "operand= names 'a_n', which is",
    ),
    "an operand of no kind": (
        head('@bptt.cell(state="h", operand="q")'),
        'operand= must be as in {"a_n": "q"}',
    ),
    "an operand that nothing sets": (
        head('@bptt.cell(state="h", operand={"a_f": "q"})'),
        "operand= names 'q', which no equation sets",
    ),
    "an operand made of its gate": (
        head('@bptt.cell(state="h", operand={"a_f": "q"})').replace(
            "    h =", "    q = a_f * h\n    h = q +"
        ),
        "q is the operand of a_f and is made of it",
    ),
    "bias that is no bool": (
        head('@bptt.cell(state="h", bias="no")'),
        "bias= must be True or False, got 'no'",
    ),
    "an option that there is not": (
        head('@bptt.cell(states="h")'),
        "cell() takes state, params, ...; got states",
    ),
    "a name with a slash": (
        head('@bptt.cell(state="h", name="../h")'),
        "name= must be letters, digits, - and _",
    ),
    "an init of no gate": (
        head('@bptt.cell(state="h", init={"f": 1.0})'),
        "init gives 'f'; the cell has a_f",
    ),
    "an init of no kind": (head('@bptt.cell(state="h", init=1.0)'), "init= must be"),
    "an init without numbers": (
        head('@bptt.cell(state="h", init={"a_f": "one"})'),
        "init of a_f must be a number or (H,)",
    ),
    "options by position": (
        ">>" + head('@bptt.cell("h c")').replace(">>", ""),
        "a cell is made from a function, with options by name; got str",
    ),
    "decorated twice": (
        LSTM.strip().replace("def", '>>@bptt.cell(state="h c")\ndef'),
        "a cell has one decorator",
    ),
    "made twice": (LSTM + '>>mine = bptt.cell(mine, state="h c")\n', "got a cell: one decorator is enough"),
    "another decorator": (
        "def other(f):\n    return f\n" + LSTM.strip().replace("\ndef mine", "\n>>@other\ndef mine"),
        "a cell has one decorator",
    ),
    # what stands around
    "many lines of decorator": (
        head('@bptt.cell(\n    state="h",\n    params={\n        "w": 1.0,\n    },\n)'),
        "params= names w, which is no argument",
    ),
    "a line within brackets": (
        body("g = (", "    tanh(", ">>        k + f))"),
        "k is not known: no argument",
    ),
    "two cells of one name": (
        LSTM + LSTM.replace("def mine", ">>def mine"),
        "a second cell is called mine, after line 6",
    ),
    "an async function": (LSTM.replace("def", ">>async def"), "async def mine: a step is a plain function"),
    "a lambda for a cell": ('>>mine = bptt.cell(state="h")(lambda a_f, h: a_f * h)\n', "a lambda: write def"),
    "a class for a cell": (
        '>>@bptt.cell(state="h")\nclass mine:\n    pass\n',
        "a cell is made from a function, with options by name; got type",
    ),
    "a method for a cell": (
        'class Cells:\n    @bptt.cell(state="h")\n>>    def mine(self, a_f, h):\n        return a_f * h\n',
        "a cell is no method, and has no self",
    ),
    "by exec": (
        ">>text = '''" + LSTM + "'''\nexec(text)\n",
        "<string>:2: mine: its text is not at hand, as at Python's prompt or in exec",
    ),
    "a function of its own meaning": (
        "from numpy import log10 as log\n" + body(">>g = log(softplus(g))"),
        "log is another function in this file than in equations",
    ),
    "no Python": ("def mine(:\n", "this is not Python"),
    "a name of the file": (">>rate = rat\n" + LSTM, "NameError: name 'rat' is not defined"),
}


def write(text: str, file: Path) -> int:
    """Write a file, and return the number of its marked line."""
    marked = HEAD + text
    file.write_text(marked.replace(">>", ""), encoding="utf-8")
    return next((k for k, line in enumerate(marked.splitlines(), 1) if ">>" in line), 0)


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, says = WRONG[mistake]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    line = write(text, tmp_path / "cells" / "mine.py")
    with pytest.raises(BpttError) as caught:
        load("cells/mine.py:mine")
    message = str(caught.value)
    where = "" if says.startswith("<string>") or not line else f"cells/mine.py:{line}: "
    assert message.startswith(where), message
    assert "\n" not in message
    assert all(piece in message for piece in says.split("...")), message


def test_there_are_more_than_thirty() -> None:
    assert len(WRONG) > 100


@pytest.mark.parametrize("path", ["mine.py", "./mine.py", "ABSOLUTE"])
def test_the_path_is_the_users_own(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "mine.py") if path == "ABSOLUTE" else path
    line = write(WRONG["an index"][0], tmp_path / "mine.py")
    with pytest.raises(EquationError) as caught:
        load(f"{path}:mine")
    assert str(caught.value).startswith(f"{path}:{line}: mine: an index")


@pytest.mark.parametrize("verb", [["derive", "mine.py:mine"], ["train", "--cell", "mine.py:mine", "adding"]])
@pytest.mark.parametrize("mistake", ["an index", "unknown function", "options by position", "no Python"])
def test_the_command_line_says_it_in_one_line(
    verb: list[str],
    mistake: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(WRONG[mistake][0], tmp_path / "mine.py")
    assert run(verb) == 2
    said = capsys.readouterr().err
    assert said.startswith("bptt: mine.py:")
    assert said.count("\n") == 1


def test_an_init_that_fails_later_names_the_cell() -> None:
    import numpy as np

    @bptt.cell(state="h", init=lambda rng, H: {"a_h": np.zeros(1 if H == 1 else H + 1)})
    def leaky(a_h, h):  # type: ignore[no-untyped-def]
        return a_h * h

    with pytest.raises(EquationError, match=r"leaky: init of a_h must be a number or \(H,\) = \(4,\)"):
        leaky.start(np.random.default_rng(0), 4)


def test_the_zoo_is_of_files_without_mistakes() -> None:
    """The other side of all the above: nothing of the zoo is refused when it is read again."""
    for cell in ZOO.values():
        assert read(cell.equations.text).text == cell.equations.text
