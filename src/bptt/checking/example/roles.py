"""What a parameter's name says of the values to try for it: tables.

A name only says what to try first. Whether it is so, the trial shows.
"""

import functools
import re

from bptt.checking.example.texts import marked

_WHEN = r"prev(?:ious)?|next|last|old|new|curr?(?:ent)?|init(?:ial)?|tm1|before|pre|now|bef"
_NOT_STATE = re.compile(
    rf"^(?:{_WHEN})_?(?=[A-Za-z])|_?(?:(?<=[A-Za-z_])(?:{_WHEN})|_(?:t|0|in|out|l))$|(?<=^[A-Za-z])[t0sp]$",
    re.IGNORECASE,
)
_GRADIENT = re.compile(r"^(?:dL_d_?|dLd|dl_d_?|dE_d|d_|d(?=.)|grad_?(?=.)|delta_?(?=.)|g_?(?=[A-Zhcxb]))")
_GRADIENT_AFTER = re.compile(r"_?(?:grad(?:ient)?s?|bar|adj|diff|deltas?)$|_updates?$")
_COTANGENT = re.compile(
    r"d_?(?:out(?:put)?s?|l|loss|values?|y|err(?:or)?|top|h|c)?|delta|(?:\w*_)?grad(?:ient)?s?|\w*delta\w*|"
    r"grad_?(?:out|output|y|loss|h)|gradOutput|top_diff|upstream|\w*err(?:or)?|d[EJ]\w*|\w*gradient|bar",
    re.IGNORECASE,
)
_MANY = r"(?:size|dim(?:ension)?s?|units|nodes?|width|neurons|len(?:gth)?|num|ct|n|channels?|features)"
_NAMES: tuple[tuple[str, str], ...] = (
    ("size:T", r"(?!vocab|hid|emb|num|word)\w+_len(?:gth)?"),
    ("size:H", r"(?:n_?)?(?:hidden(?:_?state)?|hid|h|state|mem_cell|rnn|lstm|gru|recurrent|context|cell)"
     rf"_?{_MANY}|"
     r"hidden|n(?:um)?_?(?:h(?:id(?:den)?)?(?:_?(?:units|states?|nodes|neurons))?|a|units|cells?|neurons)|h|H|h_?dim|units|dim|size"),
    ("size:V", r"(?:\w+_)?vocab(?:ulary)?_?(?:size|len(?:gth)?|dim)?|word_?dim|v|n_?vocab|"
     rf"n(?:um)?_?(?:chars|words|letters|tokens)|(?:out(?:puts?)?|o|y|class(?:es)?|target)_?{_MANY}|"
     r"n(?:um)?_?(?:y|outs?|outputs?|class(?:es)?|labels)|outputs?|classes|total_classes|c|k|out"),
    ("size:T", r"\w*trunc\w*|t?bptt(?:_(?:steps?|len(?:gth)?|depth))?|t_x|num_unroll\w*|t|"
     r"(?:n(?:um)?_?)?steps?|(?:max_)?(?:seq(?:uence)?|sent(?:ence)?|chunk)_?(?:len(?:gth)?|size)|time_?steps?"),
    ("size:H+D", rf"z_{_MANY}|n_?z|h[vxd]|[vxd]h|concat_{_MANY}"),
    ("size:D", rf"(?:inputs?|in|i|x|embed(?:ding)?|emb|data|features?|wordvec)_?{_MANY}|"
     r"(?:total_)?features?|d|e|inputs?|embed(?:ding)?|n(?:um)?_?(?:in|x|inputs?|features)|in"),
    ("size:N", r"batch(?:_?size)?|n|m|bs|n_?(?:ex|examples|samples)|mini_?batch"),
    ("once", r"(?:n|num|max|total)?_?(?:of_)?(?:epochs?|iter(?:ation)?s?)"),
    ("layers", r"n(?:um)?_?layers|depth(?:_size)?|layers"),
    ("rate", r"learn(?:ing)?_?rate|lr|eta|alpha|rate|step_?size|l_rate"),
    ("params", r"param(?:eter)?s?|model|weights|p|thetas?|w_dict|params_dict|net"),
    ("target", r"\w*target\w*|y|ys|yt|labels?|\w*_labels?|(?:y_?)(?:true|train|batch|t|seq|list|ref)|"
     r"t|ts|d|gt|truth|ground_truth|expected|desired|answers?|outputs?_true|y_\w*train\w*|correct\w*"),
    ("cache", r"caches?|ctx|saved|mem(?:o|ory)?|context|fwd|tape|intermediates|values?|\w*_cache|state"),
    ("token", r"token|idx|ix|word|char|index|\w*_idx|\w*_ix|\w*_index"),
    ("tokens", r"tokens|idxs?|ids|ixs|words|chars|indices|sentence|token_ids"),
    ("x", r"x|xs|xt|inp|inps|\w*inputs?\w*|data|seq|sequence|x_?\w+|bottom|image|sample|signal|in_t"),
    ("h", r"h|hs|hx|ht|h_?n|hidden\w*|a|ht?_?seq|h_?out|hid|\w*_h|s|st|states?|carry|activation|short|stm|"
     r"memory|\w*hidden\w*"),
    ("h", r"c|cs|cx|ct|c_?n|cell|cell_?states?|cc|mem|ctx_state|long|ltm|\w*_c"),
)  # fmt: skip
_WEIGHT = re.compile(
    r"^(?:[WUVRE](?:_?[A-Za-z0-9]{0,6})?(?:_[a-z]+)?|w_?[a-z]{1,3}|w|u_?[a-z]?|v|weights?_\w+|kernel\w*|"
    r"theta_?\w+|emb\w*|\w*weights?\w*|(?:in(?:put)?|hid(?:den)?|[xih])(?:_to_|_2_|2|(?<=[nt])_)(?:hid\w*|out\w*|[hoy]))$"
)
_BIAS = re.compile(r"^(?:b|B|b_?[a-z]{1,4}|B[a-z]{1,2}|bias(?:es)?(?:_?\w+)?|\w+_bias|b_\w+)$")
_MATRICES = (
    ("W:h", r"(?:h[hfiocgzrn]?|aa|hidden(?!.*out)\w*|rec\w*|[fiogzrc]h|s|r|h[rzu]|uh)$|.*hh"),
    ("W:y", r".*y$|^v$|.*out|.*hq|.*ho$"),
    ("W:e", r"e.+|.*emb"),
    ("W:g", r"[fiocgzrua]$"),
    ("W:x", ""),
)

_FORMS = {
    "x": ("N D", "D N", "D"), "h": ("N H", "H N", "H"), "y": ("N V", "V N", "V"),
    "b": ("g", "g 1"), "b:y": ("V", "V 1"), "W:x": ("D g", "g D"), "W:h": ("H g", "g H"),
    "W:y": ("H V", "V H"), "W:g": ("H+D g", "g H+D"), "W:e": ("V D", "D V"),
}  # fmt: skip
_MORE = {
    "x": ("1 N D", "N H", "H N", "2", "tokens N", "N V", "V N", "H", "V", "D"),
    "xs": ("T D N", "T D", "N T D", "D N T", "N D T", "D T", "T D 1", "T 1 D", "D T N", "T N H", "T H N",
           "T N V", "T V N", "T V", "T V 1", "tokens T", "np.array(«tokens T»)", "tokens T N",
           "np.array(«tokens T N»)", "np.array(«tokens N T»)", "T", "T 1", "'acba'"),
    "h": ("1 N H", "1 1 H", "N H", "H N", "H", "{-1: «H N»}", "V N", "N V", "N D"),
    "W:x": ("H+D g", "g H+D", "H+D+1 g", "g H+D+1", "H g", "V g", "g V", "H V", "V H"),
    "W:h": ("H+D g", "g H+D"),
    "W:y": ("H D", "D H", "H 1", "1 H"),
    "W:g": ("H g", "g H", "D g", "g D", "H 1"),
    "W:e": ("V H", "H V"),
    "b": ("1 g", "g 1", "g", "V", "V 1", "1 V"),
    "b:y": ("1 V", "D", "D 1", "1 D", "H", "1 H", "H 1", "1"),
    "target": ("onehot T N V", "onehot T V", "onehot T V N", "onehot T V 1", "onehot T 1 V", "onehot N T V",
               "onehot N V", "onehot V N", "onehot V", "onehot V N T", "onehot V T", "labels T",
               "np.array(«labels T»)", "labels T N", "np.array(«labels T N»)", "np.array(«labels N T»)",
               "np.array(«labels N»)", "np.array(«labels N») % 2", "2",
               "T N H", "T H", "T H 1", "T 1", "T 1 1", "T N D", "N T D", "N H",
               "T D", "T", "N", "N 1", "1 N", "list(«onehot T V 1»)", "list(«onehot T V»)", "0.5", "'cbac'"),
    "tokens": ("np.array(«tokens T N»)", "np.array(«tokens N T»)", "tokens T", "np.array(«tokens T»)"),
    "token": ("2",), "once": ("1",), "rate": ("0.1",), "layers": ("1", "2", "[«size H»]"), "t": ("0",),
}  # fmt: skip


@functools.cache
def texts(kind: str) -> tuple[str, ...]:
    """Return what to try for a kind of value, the likelier first."""
    if kind.startswith("size:"):
        return (f"«size {kind[5:]}»",)
    form, before = {"xs": ("x", "T "), "target": ("y", "onehot T ")}.get(kind, (kind, ""))
    found = [*(before + shape for shape in _FORMS.get(form, ())), *_MORE.get(kind, ())]
    if kind[0] in "Wb":
        found = [text.replace("g", gates) for gates in ("H", "4*H", "3*H") for text in found]
    return tuple(dict.fromkeys(map(marked, found)))


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
    """Return what a gradient is the gradient of.

    Examples
    --------
    >>> [without_d(name) for name in ("dWx", "d_Wx", "grad_Wx", "dprev_h", "Wx", "target", "wf_diff")]
    ['Wx', 'Wx', 'Wx', 'prev_h', 'Wx', 'target', 'wf']
    """
    if name in ("data", "dim", "delta"):
        return name
    return _GRADIENT_AFTER.sub("", _GRADIENT.sub("", name, count=1))


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
    low, bare = name.lower(), state_name(name).lower()
    low = re.sub(r"^(?:number|nb|no)_(?:of_)?", "n_", low)
    low = re.sub(r"^(?:train(?:ing)?|batch|sample|mini_?batch)_?(?=(?:[xy]|input|target|label)s?$)", "", low)
    found = [kind for kind, words in _NAMES if re.fullmatch(words, bare if kind in "xh" else low)]
    if _BIAS.match(name):
        found.insert(0, "b:y" if re.search(r"[yv]$|out|q$", name) else "b")
    elif _WEIGHT.match(name):
        short = re.sub(r"^(?:weights?|w|kernel)_?|_?weights?$|_", "", low)
        found.insert(0, next(kind for kind, words in _MATRICES if re.match(words, short)))
    return tuple(dict.fromkeys(found))


def size_of(name: str) -> str:
    """Return the size that a name stands for, as a symbol; empty where it is none."""
    return next((kind[5:] for kind in kinds(name) if kind.startswith("size:")), "")
