"""What a name says: the part that an argument plays, by the ways in which people call it.

A name only says what to try first. Whether it is so, the trial shows.
"""

import functools
import re

GATES = frozenset("ifogczrnaueskjm")
"""Letters that tell the gates' arrays of one kind apart, as in Wf, Wi, Wc, Wo."""

_WHEN = r"prev(?:ious)?|next|last|old|new|curr?(?:ent)?|init(?:ial)?|tm1"
_NOT_STATE = re.compile(
    rf"^(?:{_WHEN})_?(?=[A-Za-z])|_?(?:(?<=[A-Za-z_])(?:{_WHEN})|_(?:t|0|in|out))$|(?<=^[A-Za-z])[t0]$",
    re.IGNORECASE,
)
_GRADIENT = re.compile(r"^(?:dL_d_?|dLd|dl_d_?|dE_d|d_|d(?=.)|grad_?(?=.)|delta_?(?=.)|g_?(?=[A-Zhcxb]))")
_GRADIENT_AFTER = re.compile(r"_(?:grad|gradient|bar|adj|diff|delta)$")

_MANY = r"(?:size|dim(?:ension)?s?|units|nodes|width|neurons|len(?:gth)?|num|ct|n)"

_PARTS: tuple[tuple[str, str], ...] = (
    ("x", r"x|xs|xt|xin|inp|inps|inputs?|data|seq|sequence|x_?seq|x_?batch|tokens?|idx|input_data"),
    ("h", r"h|hs|hx|ht|h_?n|hidden|hidden_states?|a|ht?_?seq|h_?out|hid"),
    ("c", r"c|cs|cx|ct|c_?n|cell|cell_states?|cc|mem|memory|ctx_state"),
    ("s", r"s|st|ss"),
    ("state", r"states?|carry|hc|initial_states?"),
    ("params", r"param(?:eter)?s?|model|weights|p|theta|thetas|w_dict|params_dict|net"),
    ("target", r"y|ys|yt|targets?|labels?|y_?(?:true|train|batch|target)|ground_truth|expected|t|truth"),
    ("cache", r"caches?|ctx|saved|mem(?:o|ory)|context|fwd|tape|stuff|intermediates?|values?"),
    ("size:H", rf"(?:hidden|hid|h|state|mem(?:ory)?_cell|rnn|lstm|gru|recurrent)_?{_MANY}|n(?:um)?_?hidden"),
    ("size:H", r"hidden|n_?h(?:id(?:den)?)?|n_?a|h|h_?dim|(?:n(?:um)?_?)?units|n_?cells?|n_?neurons"),
    ("size:V", r"vocab(?:ulary)?_?(?:size|len|dim)|word_?dim|v|n_?vocab|n(?:um)?_?(?:chars|words|letters)"),
    ("size:D+H", rf"z_{_MANY}|n_?z|h[vxd]|[vxd]h|concat_{_MANY}"),
    ("size:V", rf"(?:out(?:puts?)?|o|y|class)_?{_MANY}|n(?:um)?_?(?:y|outs?|outputs?|class(?:es)?)"),
    ("size:D", rf"(?:inputs?|in|i|x|embed(?:ding)?|data|features?)_?{_MANY}"),
    ("size:D", r"d|embed(?:ding)?|n(?:um)?_?(?:in|x|inputs?|features)"),
    ("size:T", r"\w*trunc\w*|t?bptt(?:_(?:steps?|len(?:gth)?|depth))?|t_x"),
    ("size:T", r"t|seq(?:uence)?_?(?:len(?:gth)?|size)|n(?:um)?_?steps?|time_?steps?"),
    ("size:N", r"batch(?:_?size)?|n|m|bs|n_?(?:ex|examples|samples)"),
    ("rate", r"learn(?:ing)?_?rate|lr|eta|alpha|rate"),
)  # fmt: skip
_WEIGHT = re.compile(
    r"^(?:[WUVR](?:_?[A-Za-z0-9]{0,4})?(?:_[a-z]+)?|w_?[a-z]{1,3}|u_?[a-z]|weights?_\w+|kernel\w*|theta_?\w+)$"
)
_BIAS = re.compile(r"^(?:b|B|b_?[a-z]{1,3}|B[a-z]{1,2}|bias(?:es)?(?:_?\w+)?|\w+_bias|b_\w+)$")


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
    >>> [without_d(name) for name in ("dWx", "d_Wx", "grad_Wx", "dprev_h", "dL_dWf", "Wx")]
    ['Wx', 'Wx', 'Wx', 'prev_h', 'Wf', 'Wx']
    """
    return _GRADIENT_AFTER.sub("", _GRADIENT.sub("", name, count=1))


def is_gradient(name: str) -> bool:
    """Return whether a name is that of a gradient."""
    return without_d(name) != name


def parts(name: str) -> list[str]:
    """Return the parts that an argument of this name may play, the likeliest first.

    Examples
    --------
    >>> parts("prev_h"), parts("Wx"), parts("b"), parts("hidden_size"), parts("cache")
    (['h'], ['W'], ['b'], ['size:H'], ['cache'])
    """
    return list(_parts(name))


@functools.cache
def _parts(name: str) -> tuple[str, ...]:
    bare = state_name(name).lower()
    found = [part for part, words in _PARTS if re.fullmatch(words, bare if part in "xhcs" else name.lower())]
    found += [p for p in ("x", "h", "c", "s", "state") if p not in found and _is(p, bare)]
    if _BIAS.match(name):
        found.insert(0, "b")
    elif _WEIGHT.match(name):
        found.insert(0, "W")
    return tuple(found)


@functools.cache
def part(name: str) -> str:
    """Return the likeliest of `parts`, or nothing."""
    return next(iter(parts(name)), "")


@functools.cache
def size_of(name: str, inputs: str = "D") -> str:
    """Return the size that a name stands for, as a symbol; empty where it is none.

    Examples
    --------
    >>> size_of("hidden_size"), size_of("n_x", inputs="V"), size_of("Wx")
    ('H', 'V', '')
    """
    symbol = next((p[5:] for p in parts(name) if p.startswith("size:")), "")
    return symbol.replace("D", inputs)


def families(names: list[str]) -> list[list[str]]:
    """Return the names in groups of one kind: those that differ by a gate's letter alone are one group.

    Examples
    --------
    >>> families(["Wx", "Wh", "b"]), families(["Wf", "Wi", "Wo", "Wy"])
    ([['Wx'], ['Wh'], ['b']], [['Wf', 'Wi', 'Wo'], ['Wy']])
    """
    best: dict[str, list[str]] = {}
    for name in names:
        for at in range(1, len(name)):
            alike = [
                other
                for other in names
                if len(other) == len(name) and other[:at] == name[:at] and other[at + 1 :] == name[at + 1 :]
            ]
            letters = {other[at].lower() for other in alike}
            allowed = GATES | {"h"} if letters & {"r", "z"} else GATES
            group = [other for other in alike if other[at].lower() in allowed]
            if name in group and len(group) > max(1, len(best.get(name, []))):
                best[name] = group
    found: list[list[str]] = []
    for name in names:
        group = best.get(name, [name])
        if group not in found:
            found.append(group)
    return found


def gate(name: str, family: list[str]) -> str:
    """Return the letter that tells `name` from the others of its family; empty where it is alone."""
    if len(family) < 2:
        return ""
    at = next(k for k in range(len(name)) if len({other[k] for other in family}) > 1)
    return name[at].lower()


def _is(part: str, name: str) -> bool:
    return any(p == part and re.fullmatch(words, name) for p, words in _PARTS)
