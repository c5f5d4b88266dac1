"""What a parameter's name says of the text to try for it: tables, and how a text is written at given sizes.

A name only says what to try first. Whether it is so, the trial shows. In the tables, ``T`` is the number of
steps, ``N`` of sequences, ``D`` of features, ``H`` of units and ``V`` of classes or of words; a list of sizes
such as ``T N D`` is an array of random numbers of that shape.
"""

import functools
import re
from collections.abc import Mapping
from typing import TypeAlias

SIZES: Mapping[str, int] = {"T": 4, "N": 2, "D": 3, "H": 5, "V": 7}
"""The sizes of a first example: all differ, and so do the sums and the products that occur in weights."""

Sizes: TypeAlias = Mapping[str, int | str]
"""What the symbols stand for: numbers, or the names that the file has for them."""

_WHEN = r"prev(?:ious)?|next|last|old|new|curr?(?:ent)?|init(?:ial)?|tm1|before|pre|now|bef"
_NOT_STATE = re.compile(
    rf"^(?:{_WHEN})_?(?=[A-Za-z])|_?(?:(?<=[A-Za-z_])(?:{_WHEN})|_(?:t|0|in|out|l))$|(?<=^[A-Za-z])[t0s]$",
    re.IGNORECASE,
)
_GRADIENT = re.compile(r"^(?:dL_d_?|dLd|dl_d_?|dE_d|d_|d(?=.)|grad_?(?=.)|delta_?(?=.)|g_?(?=[A-Zhcxb]))")
_GRADIENT_AFTER = re.compile(r"_?(?:grad(?:ient)?s?|bar|adj|diff|delta)$")
_COTANGENT = re.compile(
    r"d_?(?:out(?:put)?s?|l|loss|values?|y|err(?:or)?|top|h|c)?|delta|(?:\w*_)?grad(?:ient)?s?|\w*delta\w*|"
    r"grad_?(?:out|output|y|loss|h)|gradOutput|top_diff\w*|upstream|\w*err(?:or)?|dE\w*|dJ\w*|\w*gradient|sensitivity|bar",
    re.IGNORECASE,
)

_MANY = r"(?:size|dim(?:ension)?s?|units|nodes?|width|neurons|len(?:gth)?|num|ct|n|channels?|features)"
_NAMES: tuple[tuple[str, str], ...] = (
    ("size:H", rf""
     rf"(?:n_?)?(?:hidden|hid|h|state|mem(?:ory)?_cell|rnn|lstm|gru|recurrent|context|stm|cell)_?{_MANY}"),
    ("size:H", r"hidden|n(?:um)?_?(?:h(?:id(?:den)?)?|a|units|cells?|neurons)|h|H|h_?dim|units|dim|size|"
     r"mem_cell_ct"),
    ("size:V", r"vocab(?:ulary)?_?(?:size|len(?:gth)?|dim)?|word_?dim|v|n_?vocab|"
     r"n(?:um)?_?(?:chars|words|letters|tokens)"),
    ("size:V", rf"(?:out(?:puts?)?|o|y|class(?:es)?|target)_?{_MANY}|"
     rf"n(?:um)?_?(?:y|outs?|outputs?|class(?:es)?|labels)"),
    ("size:V", r"outputs?|classes|total_classes|c|out"),
    ("size:D+H", rf"z_{_MANY}|n_?z|h[vxd]|[vxd]h|concat_{_MANY}"),
    ("size:D", rf"(?:inputs?|in|i|x|embed(?:ding)?|emb|data|features?|wordvec)_?{_MANY}|"
     rf"(?:total_)?features?"),
    ("size:D", r"d|e|inputs?|embed(?:ding)?|n(?:um)?_?(?:in|x|inputs?|features)|in"),
    ("size:T", r"\w*trunc\w*|t?bptt(?:_(?:steps?|len(?:gth)?|depth))?|t_x|num_unroll\w*"),
    ("size:T", r"t|(?:max_)?seq(?:uence)?_?(?:len(?:gth)?|size)|n(?:um)?_?steps?|time_?steps?|"
     r"(?:input|cell|max)_len(?:gth)?"),
    ("size:N", r"batch(?:_?size)?|n|m|bs|n_?(?:ex|examples|samples)|mini_?batch"),
    ("layers", r"n(?:um)?_?layers|depth(?:_size)?|layers"),
    ("rate", r"learn(?:ing)?_?rate|lr|eta|alpha|rate|step_?size|l_rate"),
    ("params", r"param(?:eter)?s?|model|weights|p|thetas?|w_dict|params_dict|net"),
    ("target", r"\w*target\w*|y|ys|yt|Y|labels?|\w*_labels?|(?:y_?)(?:true|train|batch|t|seq|list|ref)|"
     r"t|ts|d|gt|truth"),
    ("target", r"ground_truth|expected|desired|answers?|outputs?_true|y_train\w*|correct\w*"),
    ("cache", r"caches?|ctx|saved|mem(?:o|ory)?|context|fwd|tape|stuff|intermediates?|values?|kept|\w*_cache|"
     r"state"),
    ("token", r"token|idx|ix|word|char|index|\w*_idx|\w*_ix|\w*_index"),
    ("tokens", r"tokens|idxs?|ids|ixs|words|chars|indices|sentence|token_ids"),
    ("x", r"x|xs|xt|xin|inp|inps|\w*inputs?\w*|data|seq|sequence|x_?\w+|X\w*|bottom|image|sample|signal|"
     r"in_t|input_?\w*"),
    ("h", r"h|hs|hx|ht|h_?n|hidden\w*|a|ht?_?seq|h_?out|hid|\w*_h|s|st|states?|carry|activation|short|stm|"
     r"memory|\w*hidden\w*"),
    ("c", r"c|cs|cx|ct|c_?n|cell|cell_?states?|cc|mem|ctx_state|C|long|ltm|\w*_c"),
)  # fmt: skip
_WEIGHT = re.compile(
    r"^(?:[WUVRE](?:_?[A-Za-z0-9]{0,6})?(?:_[a-z]+)?|w_?[a-z]{1,3}|w|u_?[a-z]?|v|weights?_\w+|kernel\w*|theta_?\w+|"
    r"emb\w*|\w*_weights?|\w*weight\w*)$"
)
_BIAS = re.compile(r"^(?:b|B|b_?[a-z]{1,4}|B[a-z]{1,2}|bias(?:es)?(?:_?\w+)?|\w+_bias|b_\w+)$")

LAYOUTS: tuple[tuple[str, ...], ...] = (
    ("N D", "N H", "D H", "H H", "H V", "H+D H", "H", "V"),  # rows
    ("D N", "H N", "H D", "H H", "V H", "H H+D", "H 1", "V 1"),  # columns
    ("D", "H", "H D", "H H", "V H", "H H+D", "H", "V"),  # vectors
    ("D 1", "H 1", "H D", "H H", "V H", "H H+D", "H 1", "V 1"),  # one column
    ("1 D", "1 H", "D H", "H H", "H V", "H+D H", "1 H", "1 V"),  # one row
    ("N D", "N H", "D H", "H H", "H V", "D H", "1 H", "1 V"),
    ("N D", "N H", "H D", "H H", "V H", "H D", "H", "V"),  # rows, with matrices as PyTorch has them
    ("N D", "N H", "D 4*H", "H 4*H", "H V", "D H", "4*H", "V"),  # four gates, and three, side by side
    ("N D", "N H", "D 3*H", "H 3*H", "H V", "D H", "3*H", "V"),
    ("N D", "N H", "4*H D", "4*H H", "V H", "H D", "4*H", "V"),
    ("N D", "N H", "3*H D", "3*H H", "V H", "H D", "3*H", "V"),
    ("D N", "H N", "4*H D", "4*H H", "V H", "H D", "4*H 1", "V 1"),
    ("D N", "H N", "3*H D", "3*H H", "V H", "H D", "3*H 1", "V 1"),
    ("D 1", "H 1", "4*H D", "4*H H", "V H", "H D", "4*H 1", "V 1"),
    ("D", "H", "4*H D", "4*H H", "V H", "H D", "4*H", "V"),
    ("N D", "N H", "H+D 4*H", "H 4*H", "H V", "H+D H", "1 4*H", "1 V"),
    ("D N", "H N", "4*H H+D", "H H", "V H", "H H+D", "4*H", "V"),
)
"""The ways to lay out a step: x, h, the matrices of x, of h, of y and of a gate, and two biases."""

_MORE: Mapping[str, tuple[str, ...]] = {
    "x": ("1 N D", "{token}", "{tokens N}"),
    "h": ("1 N H", "1 1 H", "{-1: np.random.randn({H}, 1)}"),
    "W:x": ("H H+D", "H+D H", "4*H H+D", "H H+D+1", "H+D+1 H", "H+D+1 4*H"),
    "W:h": ("H H+D", "H+D H"),
    "W:y": ("H D", "D H"),
    "W:g": ("H H", "H 1"),
    "b": ("1 4*H", "3*H", "1 3*H", "4*H 1", "3*H 1"),
    "b:y": ("D", "D 1", "1 D"),
    "W:e": ("V D", "D V", "V H", "H V"),
    "xs": ("T N D", "T D N", "T D", "T D 1", "T 1 D", "N T D", "D N T", "N D T", "D T", "D T N", "1 T D",
               "1 D T",
           "list:T D 1", "list:T D", "list:T 1 D", "list:T N D", "{tokens T}", "array:{tokens T}",
           "batch:T N", "batch:N T"),
    "tokens": ("batch:T N", "batch:N T", "{tokens T}", "array:{tokens T}"),
    "target": ("onehot:T N V", "onehot:T V N", "onehot:T V", "onehot:T V 1", "onehot:T 1 V",
               "onehot:N T V", "onehot:N V",
               "onehot:V N", "onehot:V", "onehot:V 1", "onehot:1 V", "onehot:V N T", "onehot:V T",
               "{tokens T}", "array:{tokens T}",
               "batch:T N", "batch:N T", "{tokens N}", "array:{tokens N}", "{token}", "T N H", "T H",
               "T H 1", "T 1", "T 1 1", "T N D",
               "N T D", "N H", "T D", "T", "N", "list:onehot:T V 1", "list:onehot:T V", "0.5", "1 1"),
    "rate": ("0.1",), "layers": ("1", "2", "[{H}]"), "token": ("{token}",), "t": ("0",),
}  # fmt: skip


def _by_layout() -> dict[str, tuple[str, ...]]:
    columns = dict(
        zip(("x", "h", "W:x", "W:h", "W:y", "W:g", "b", "b:y"), zip(*LAYOUTS, strict=True), strict=True)
    )
    columns["xs"] = tuple(f"T {text}" for text in columns["x"])
    columns["target"] = tuple(f"onehot:T {text.replace('D', 'V')}" for text in columns["x"])
    return {kind: columns.get(kind, more[:1] * len(LAYOUTS)) + more for kind, more in _MORE.items()}


TEXTS: Mapping[str, tuple[str, ...]] = _by_layout()
"""What to try for each kind of argument: an entry for each of `LAYOUTS`, and then what is rarer."""


@functools.cache
def state_name(name: str) -> str:
    """Return a name without what says when: ``h_prev``, ``prev_h``, ``hprev`` and ``h0`` are all ``h``.

    Examples
    --------
    >>> [state_name(name) for name in ("h_prev", "prev_h", "hprev", "h0", "next_c", "xt", "a_prev")]
    ['h', 'h', 'h', 'h', 'c', 'x', 'a']
    """
    before = ""
    while name != before:
        before, name = name, _NOT_STATE.sub("", name)
    return name


@functools.cache
def without_d(name: str) -> str:
    """Return what a gradient is the gradient of: ``dWx``, ``grad_Wx`` and ``d_Wx`` are of ``Wx``.

    Examples
    --------
    >>> [without_d(name) for name in ("dWx", "d_Wx", "grad_Wx", "dprev_h", "Wx", "target", "wf_diff")]
    ['Wx', 'Wx', 'Wx', 'prev_h', 'Wx', 'target', 'wf']
    """
    return (
        name
        if name in ("data", "dim", "delta")
        else _GRADIENT_AFTER.sub("", _GRADIENT.sub("", name, count=1))
    )


def is_cotangent(name: str) -> bool:
    """Return whether an argument of this name is a gradient that a backward is handed."""
    return without_d(name) != name or bool(_COTANGENT.fullmatch(name))


@functools.cache
def kinds(name: str) -> tuple[str, ...]:
    """Return what an argument of this name may be, the likeliest first.

    Examples
    --------
    >>> kinds("prev_h")[0], kinds("Wx")[0], kinds("Why")[0], kinds("by")[0], kinds("hidden_size")[0]
    ('h', 'W:x', 'W:y', 'b:y', 'size:H')
    """
    bare = state_name(name)
    found = [
        kind for kind, words in _NAMES if re.fullmatch(words, bare.lower() if kind in "xhc" else name.lower())
    ]
    if _BIAS.match(name):
        found.insert(0, "b:y" if re.search(r"[yv]$|out|q$", name) else "b")
    elif _WEIGHT.match(name):
        low = re.sub(r"^(?:weights?|w|kernel)_?|_?weights?$|_", "", name.lower())
        kind = "W:g" if low in ("f", "i", "o", "c", "g", "z", "r", "u", "a") else "W:x"
        kind = "W:e" if re.search(r"^e|emb", low) and low != "e" else kind
        kind = "W:y" if re.search(r"y$|^v$|out|hq|ho$", low) and low != "o" else kind
        kind = (
            "W:h"
            if re.search(r"^(?:h[hfiocgzrn]?|aa|hidden\w*|rec\w*|[fiogzrc]h|s|r|h[rzu]|uh)$|hh", low)
            else kind
        )
        found.insert(0, kind)
    return tuple(found)


def size_of(name: str) -> str:
    """Return the size that a name stands for, as a symbol; empty where it is none."""
    return next((kind[5:] for kind in kinds(name) if kind.startswith("size:")), "")


def matrix_sizes(shapes: list[tuple[int, ...]]) -> dict[str, int]:
    """Return how many units and features, or words, matrices of these shapes are for.

    Examples
    --------
    >>> matrix_sizes([(9, 4), (9, 9), (4, 9)])
    {'H': 9, 'D': 4, 'V': 4}
    """
    squares = [s[0] for s in shapes if s[0] == s[1]]
    if not squares:
        return {}
    H = max(set(squares), key=squares.count)
    others = [n for s in shapes for n in s if n not in (1, H, 3 * H, 4 * H)]
    wide = max(set(others), key=others.count) if others else H
    return {"H": H, "D": wide, "V": wide}


def tokens(count: int) -> list[int]:
    """Return `count` words of three, one of which occurs twice.

    Examples
    --------
    >>> tokens(4)
    [0, 2, 1, 2]
    """
    return [(0, 2, 1, 2, 1, 0)[k % 6] for k in range(count)]


def marked(text: str) -> str:
    """Return an entry of `TEXTS` so that `rendered` finds it within a line."""
    return text[1:] if text.startswith("=") else f"«{text}»"


def rendered(text: str, sizes: Sizes) -> str:
    """Return lines whose marked parts are written at these sizes.

    Examples
    --------
    >>> rendered("x, h = «T N D», «N H»", SIZES)
    'x, h = np.random.randn(4, 2, 3), np.random.randn(2, 5)'
    """
    return re.sub("«([^«»]*)»", lambda m: written(m[1], sizes), text)


def written(text: str, sizes: Sizes) -> str:
    """Return an entry of `TEXTS` as Python at these sizes; what starts with ``=`` is Python as it is.

    Examples
    --------
    >>> written("T N D", SIZES), written("array:{tokens T}", SIZES), written("H 1", {"H": "hidden_size"})
    ('np.random.randn(4, 2, 3)', 'np.array([0, 2, 1, 2])', 'np.random.randn(hidden_size, 1)')
    >>> written("onehot:T V 1", SIZES), written("batch:T N", SIZES)
    ('np.eye(7)[[0, 2, 1, 2]][:, :, None]', 'np.array([[0, 2], [2, 1], [1, 2], [2, 1]])')
    """
    kind, _, rest = text.partition(":")
    match kind:
        case _ if text.startswith("="):
            return text[1:]
        case "list":
            return f"list({written(rest, sizes)})"
        case "array":
            return f"np.array({written(rest, sizes)})"
        case "zeros":
            return f"np.zeros(({', '.join(_size(part, sizes) for part in rest.split())}))"
        case "batch":
            rows, columns = (_number(part, sizes) for part in rest.split())
            return f"np.array({_rows(rows, columns)})"
        case "onehot":
            return _onehot(rest.split(), sizes)
    if re.fullmatch(r"[-+*\d TNDHVE]*", text) and re.search(r"[TNDHVE]|^1( 1)*$", text):
        return f"np.random.randn({', '.join(_size(part, sizes) for part in text.split())})"
    return re.sub(r"\{(tokens? ?|#|)([TNDHV+*]*)\}", lambda m: _filled(m, sizes), text)


def _filled(match: re.Match[str], sizes: Sizes) -> str:
    what, symbol = match[1].strip(), match[2]
    if what == "token":
        return "2"
    if what == "#":
        return str(_number(symbol, sizes))
    return str(tokens(_number(symbol, sizes))) if what else _size(symbol, sizes)


def _size(expression: str, sizes: Sizes) -> str:
    named = re.sub(r"[TNDHV]", lambda m: str(sizes.get(m[0], m[0])), expression)
    return str(eval(named)) if re.fullmatch(r"[\d+*]+", named) else re.sub(r"([+*])", r" \1 ", named)


def _number(symbol: str, sizes: Sizes) -> int:
    found = str(sizes[symbol])
    return int(found) if found.isdigit() else SIZES[symbol]


def _rows(rows: int, columns: int) -> list[list[int]]:
    row = tokens(rows + columns)
    return [row[k : k + columns] for k in range(rows)]


def _onehot(shape: list[str], sizes: Sizes) -> str:
    """Return one-hot vectors along the axis of the classes, written as rows of the identity."""
    classes = "V" if "V" in shape else "D"
    others = [part for part in shape if part not in (classes, "1")]
    eye = f"np.eye({_size(classes, sizes)})"
    if not others:
        return eye + {"V": "[2]", "V 1": "[:, [2]]", "1 V": "[[2]]"}[" ".join(shape).replace(classes, "V")]
    counts = [_number(part, sizes) for part in others]
    picked = tokens(counts[0]) if len(counts) == 1 else f"np.array({_rows(*counts)})"
    text, axes, wanted = f"{eye}[{picked}]", [*others, classes], [part for part in shape if part != "1"]
    if wanted != axes:
        text += f".transpose({', '.join(str(axes.index(part)) for part in wanted)})"
    return text + (f"[{', '.join('None' if part == '1' else ':' for part in shape)}]" if "1" in shape else "")
