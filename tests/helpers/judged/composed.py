"""Right models of several layers, composed of independent choices: the layers, what holds them, the loss."""

import re

import numpy as np

from judged.composed_layers import LAYERS, Layer, Lines
from judged.truth import Truth

RECURRENT = ("elman", "rectified", "leaky", "independent", "longshort", "gated", "bothways")
WORDS: list[dict[str, str]] = [
    {},
    {"xs": "inputs", "dxs": "dinputs", "ys": "outputs", "dys": "doutputs", "hs": "hiddens", "h": "hidden"},
    {"xs": "X", "dxs": "grad_X", "ys": "Y", "dys": "grad_Y", "hs": "H", "dh": "grad_h", "da": "grad_a"},
    {"xs": "folge", "dxs": "d_folge", "ys": "aus", "dys": "d_aus", "h": "zustand", "hs": "zustaende"},
    {"xs": "seq", "dxs": "seq_bar", "ys": "out", "dys": "out_bar", "dh": "h_bar", "da": "a_bar", "g": "bars"},
    {"xs": "u", "dxs": "delta_u", "ys": "v", "dys": "delta_v", "dh": "delta", "hs": "trace", "loss": "cost"},
    {"forward": "fprop", "backward": "bprop", "g": "nabla", "loss": "J", "p": "theta", "grads": "dtheta"},
    {"forward": "__call__", "backward": "grad", "xs": "sequence", "dys": "upstream", "dxs": "downstream"},
]
"""What else names may be; a word is replaced wherever it stands."""

FORWARD = {"half": "0.5 * np.sum((zs - target) ** 2)", "mean": "np.mean((zs - target) ** 2)",
           "binary": "-np.sum(target * np.log(prob{}) + (1 - target) * np.log(1 - prob{}))",
           "index": "-np.log((prob * hot).sum(axis=axis){}).sum()",
           "onehot": "-np.sum(target * np.log(prob{})) / len(zs)"}  # fmt: skip
BACKWARD = {"handed": "", "half": "dzs = zs - target", "mean": "dzs = 2 * (zs - target) / zs.size",
            "binary": "dzs = prob - target", "index": "dzs = prob - hot",
            "onehot": "dzs = (prob - target) / len(zs)"}  # fmt: skip


def composed(seed: int) -> tuple[str, Truth]:
    """Return the text of a model composed by a seed, and how it is called and what is right.

    >>> text, truth = composed(3)
    >>> "import numpy as np" in text, truth.example.count("\\n") < 6
    (True, True)
    """
    text, truth = Model(np.random.default_rng(seed)).written()
    words = WORDS[seed % len(WORDS)]

    def said(one: str) -> str:
        return re.sub(r"[A-Za-z_]\w*", lambda word: words.get(word[0], word[0]), one)

    gradients = {said(at): said(made) for at, made in truth.gradients.items()}
    marks = tuple(map(said, truth.backward)), tuple(map(said, truth.after))
    return said(text), Truth(said(truth.example), said(truth.loss), gradients, *marks)


def inside(text: Lines, depth: int = 1) -> Lines:
    return ["    " * depth + line for line in text]


class Model:
    """Draws the choices, and writes the text.

    Parameters
    ----------
    rng
        What draws them.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        def one(*of: str) -> str:
            return str(rng.choice(of))

        self.form = one("classes", "classes", "functions", "closures", "globals")
        self.layout = one("rows", "rows", "vector", "columns")
        style = self.layout, one("@", "dot", "einsum", "matmul"), one("list", "dict", "array")
        self.batch_first = self.layout == "rows" and rng.random() < 0.4
        self.loss = one("handed", "half", "mean", "index", "onehot", "binary")
        self.update = one("", "", "rate", "decay", "momentum") if self.form == "classes" else ""
        self.clip = one("", "", "value", "norm")
        self.decay = self.loss != "handed" and self.form != "globals" and rng.random() < 0.2
        self.guard = one("", "", " + 1e-8", " + 1e-12")
        self.single = ".astype(np.float32)" * (rng.random() < 0.15)
        self.last = self.loss != "handed" and rng.random() < 0.3
        self.explicit = rng.random() < 0.5  # layers have names of their own, and stand in no list
        plain = [name for name in LAYERS if name not in ("embedding", "dense")]
        names = [one(*RECURRENT), *(one(*plain) for _ in range(rng.integers(0, 3)))]
        rng.shuffle(names)
        self.embeds = rng.random() < 0.2
        names = [*["embedding"] * self.embeds, *dict.fromkeys(names), "dense"]
        self.layers: list[Layer] = []
        width = 7 if self.embeds else 3
        for name, units in zip(names, [*rng.permutation([2, 4, 5, 6])[: len(names) - 1], 6], strict=True):
            self.layers.append(Layer(name, width, int(units), *style))
            width = self.layers[-1].out

    def written(self) -> tuple[str, Truth]:
        text = ["import numpy as np", "", "", "def sigmoid(a):", "    return 1 / (1 + np.exp(-a))", "", ""]
        for layer in self.layers:
            text += [*self.layer(layer), "", ""]
        model, truth = self._classes() if self.form == "classes" else self._functions()
        return "\n".join([*text, *model]) + "\n", truth

    # a layer

    def layer(self, layer: Layer) -> Lines:
        """Return the text of a layer."""
        name, kept = layer.name, ", ".join(layer.kept)
        fore = self.body(layer, layer.forward)
        back = self.body(layer, [*self.zeros(layer), *layer.backward])
        drawn = {k: f"np.random.randn({shape}){self.single} * 0.5" for k, shape in layer.shapes.items()}
        if self.form == "classes":
            init = ["def __init__(self, n, m):", *inside([f"self.{k} = {one}" for k, one in drawn.items()])]
            ways = ["", "def forward(self, xs):", *inside([*fore, "return ys"])]
            ways += ["", "def backward(self, dys):", *inside([*back, "return dxs"])]
            return [f"class {name.title()}:", *inside([*init, *ways])]
        if self.form == "globals":
            make, p = [f"n, m = {layer.width}, {layer.units}"], ""
            make += [*(f"{k}_{name} = {one}" for k, one in drawn.items()), "", ""]
        else:
            made = [f"'{k}': {one}," for k, one in drawn.items()]
            make = [f"def {name}_params(n, m):", "    return {", *inside(made, 2), "    }", "", ""]
            p = ", p"
        if self.form == "closures":
            pull = ["", "def back(dys):", *inside([*back, "return dxs, g"]), "", "return ys, back"]
            return [*make, f"def {name}(xs, p):", *inside([*fore, *pull])]
        make += [f"def {name}_forward(xs{p}):", *inside([*fore, f"return ys, ({kept},)"]), "", ""]
        back = [f"{kept}, = cache", *back, "return dxs, g"]
        return [*make, f"def {name}_backward(dys, cache{p}):", *inside(back)]

    def body(self, layer: Layer, text: Lines) -> Lines:
        """Return a layer's lines with its parameters, gradients and kept values as the form has them."""
        hold = {"classes": r"self.\1", "globals": rf"\1_{layer.name}"}.get(self.form, r"p['\1']")
        grad, kept = (r"self.d\1", r"self.\1") if self.form == "classes" else (r"g['\1']", r"\1")
        for mark, new in (("$", hold), ("%", grad), ("@", kept)):
            text = [re.sub(rf"{re.escape(mark)}(\w+)", new, line) for line in text]
        return text

    def zeros(self, layer: Layer) -> Lines:
        if self.form == "classes":
            return [f"self.d{k} = np.zeros_like(self.{k})" for k in layer.shapes]
        if self.form == "globals":
            made = [f"'{k}': np.zeros_like({k}_{layer.name})" for k in layer.shapes]
            return [f"g = {{{', '.join(made)}}}"]
        return ["g = {k: np.zeros_like(v) for k, v in p.items()}"]

    # around the layers

    def ends(self) -> tuple[Lines, Lines]:
        """Return the lines from the last layer to the loss, and those back to it."""
        axis = self.layers[0].axis()
        out = ["zs = ys[-1]" if self.last else "zs = ys.swapaxes(0, 1)" if self.batch_first else "zs = ys"]
        back = ["dys = np.zeros_like(ys)", "dys[-1] = dzs"]
        if not self.last:
            back = ["dys = dzs.swapaxes(0, 1)" if self.batch_first else "dys = dzs"]
        if self.loss == "handed":
            return out, back
        if self.loss == "binary":
            out += ["prob = sigmoid(zs)"]
        elif self.loss in ("index", "onehot"):
            out += [f"ez = np.exp(zs - zs.max(axis={axis}, keepdims=True))"]
            out += [f"prob = ez / ez.sum(axis={axis}, keepdims=True)"]
        if self.loss == "index":
            out += [f"hot = np.eye(zs.shape[{axis}])[target]{self.layers[0].turned()}"]
        loss = FORWARD[self.loss].format(self.guard, self.guard).replace("axis=axis", f"axis={axis}")
        return [*out, f"loss = {loss}"], [BACKWARD[self.loss], *back]

    def clipped(self, every: str) -> Lines:
        if self.clip == "value":
            return [f"for one in {every}:", "    np.clip(one, -1e4, 1e4, out=one)"]
        norm = [f"length = np.sqrt(sum((one**2).sum() for one in {every}))", "if length > 1e5:"]
        return [*norm, f"    for one in {every}:", "        one *= 1e5 / length"] if self.clip else []

    def data(self) -> Lines:
        """Return the lines that make inputs and targets."""
        turned = self.layers[0].turned()

        def sizes(size: int, time: bool) -> Lines:
            one = {"rows": ["2", f"{size}"], "columns": [f"{size}", "2"], "vector": [f"{size}"]}[self.layout]
            return one if not time else ["2", "3", f"{size}"] if self.batch_first else ["3", *one]

        def normal(size: int, time: bool) -> str:
            return f"np.random.randn({', '.join(sizes(size, time))}){self.single}"

        def tokens(most: int, time: bool) -> str:
            shape = [n for n in sizes(0, time) if n != "0"]
            many = f"0, {most}, ({', '.join(shape)},)"
            return f"np.random.randint({many if shape else most})"

        xs, target = tokens(7, True) if self.embeds else normal(3, True), normal(6, not self.last)
        if self.loss == "binary":
            target = f"({target} > 0).astype(float)"
        elif self.loss in ("index", "onehot"):
            target = tokens(6, not self.last)
            target = f"np.eye(6)[{target}]{turned}" if self.loss == "onehot" else target
        return [f"xs = {xs}", f"{'dzs' if self.loss == 'handed' else 'target'} = {target}"]

    def _classes(self) -> tuple[Lines, Truth]:
        names = [f"l{k}" if self.explicit else f"layers[{k}]" for k in range(len(self.layers))]
        made = [f"{layer.name.title()}({layer.width}, {layer.units})" for layer in self.layers]
        pairs = zip(names, self.layers, strict=True)
        every = [f"self.{name}.{{}}{k}" for name, layer in pairs for k in layer.shapes]
        weights, slopes = [one.format("") for one in every], [one.format("d") for one in every]
        turn = self.batch_first and not self.embeds
        out, back = ["xs = xs.swapaxes(0, 1)"] * self.batch_first, ["dys = dys.swapaxes(0, 1)"] * turn
        if self.explicit:
            init = [f"self.{n} = {one}" for n, one in zip(names, made, strict=True)]
            out += [f"xs = self.{n}.forward(xs)" for n in names]
            back = [*(f"dys = self.{n}.backward(dys)" for n in reversed(names)), *back]
        else:
            init = [f"self.layers = [{', '.join(made)}]"]
            out += ["for layer in self.layers:", "    xs = layer.forward(xs)"]
            back = ["for layer in reversed(self.layers):", "    dys = layer.backward(dys)", *back]
        to_loss, from_loss = self.ends()
        out, back = [*out, "ys = xs", *to_loss], [*from_loss, *back]
        if self.decay:
            out += [f"loss += 0.5 * 0.1 * sum((w**2).sum() for w in ({', '.join(weights)},))"]
            back += [f"{d} += 0.1 * {w}" for d, w in zip(slopes, weights, strict=True)]
        clip, steps = self.clipped(f"({', '.join(slopes)},)"), Lines()
        for k, (w, d) in enumerate(zip(weights, slopes, strict=True)):
            speed = f"self.speed[{k}]"
            momentum = [f"{speed} = 0.9 * {speed} - 0.1 * {d}", f"{w} += {speed}"]
            steps += {"": [], "rate": [f"{w} -= 0.1 * {d}"], "decay": [f"{w} -= 0.1 * ({d} + 0.01 * {w})"],
                      "momentum": momentum}[self.update]  # fmt: skip
        if self.update == "momentum":
            init += [f"self.speed = [np.zeros_like(w) for w in ({', '.join(weights)},)]"]
        judged, data = self.loss != "handed", self.data()
        kept = (
            sorted(set(re.findall(r"\b(?:prob|hot|zs|ys|target)\b", " ".join(from_loss)))) if judged else []
        )
        fore = "loss(self, xs, target)" if judged else "forward(self, xs)"
        out += [*(f"self.{k} = {k}" for k in kept), "return loss" if judged else "return zs"]
        back = [*(f"{k} = self.{k}" for k in kept), *back, *clip, *steps, "return dys"]
        text = [
            "class Model:",
            "    def __init__(self):",
            *inside(init, 2),
            "",
            f"    def {fore}:",
            *inside(out, 2),
        ]
        text += ["", f"    def backward(self{'' if judged else ', dzs'}):", *inside(back, 2)]
        call = "net.loss(xs, target)" if judged else "net.forward(xs)"
        last = f"dxs = net.backward({'' if judged else 'dzs'})"
        example = ["net = Model()", *data, f"{'loss' if judged else 'zs'} = {call}", last]
        grads = {
            w.replace("self", "net"): d.replace("self", "net") for w, d in zip(weights, slopes, strict=True)
        }
        grads |= {} if self.embeds else {"xs": "dxs"}
        after = tuple(inside([*clip, *steps][:1], 2))
        loss = call if judged else f"({call} * dzs).sum()"
        return text, Truth("\n".join(example), loss, grads, ("    def backward(",), after)

    def _functions(self) -> tuple[Lines, Truth]:
        own = self.form == "globals"
        turn = self.batch_first and not self.embeds
        out, back = ["xs = xs.swapaxes(0, 1)"] * self.batch_first, ["dys = dys.swapaxes(0, 1)"] * turn
        for k, layer in enumerate(self.layers):
            p, closure = "" if own else f", params[{k}]", self.form == "closures"
            out += [f"xs, c{k} = {layer.name}{'' if closure else '_forward'}(xs{p})"]
            undo = f"c{k}(dys)" if closure else f"{layer.name}_backward(dys, c{k}{p})"
            back = [f"dys, g{k} = {undo}", *back]
        to_loss, from_loss = self.ends()
        count = range(len(self.layers))
        out, back = [*out, "ys = xs", *to_loss], [*from_loss, *back]
        back += [f"grads = [{', '.join(f'g{k}' for k in count)}]"]
        if self.decay:
            out += ["loss += 0.5 * 0.1 * sum((w**2).sum() for p in params for w in p.values())"]
            back += ["for p, g in zip(params, grads):", "    for k in p:", "        g[k] += 0.1 * p[k]"]
        clip = self.clipped("[one for g in grads for one in g.values()]")
        grads = {f"params[{k}]": f"grads[{k}]" for k in count}
        if own:
            grads = {
                f"{w}_{self.layers[k].name}": f"grads[{k}]['{w}']"
                for k in count
                for w in self.layers[k].shapes
            }
        grads |= {} if self.embeds else {"xs": "dxs"}
        made = ", ".join(f"{layer.name}_params({layer.width}, {layer.units})" for layer in self.layers)
        given, setup = ("", []) if own else ("params, ", [f"params = [{made}]"])
        marks = [*(f"def {layer.name}_backward(" for layer in self.layers), "    def back("]
        if self.loss == "handed":
            caches = "".join(f"c{k}, " for k in count)
            call = f"model_forward({given}xs)"
            text = [f"def {call}:", *inside([*out, f"return zs, ({caches})"]), "", ""]
            last = f"model_backward({given}caches, dzs)"
            text += [f"def {last}:", *inside([f"{caches[:-1]} = caches", *back, *clip, "return dys, grads"])]
            example = [*setup, *self.data(), f"zs, caches = {call}", f"dxs, grads = {last}"]
            return text, Truth(
                "\n".join(example), f"({call}[0] * dzs).sum()", grads, (*marks, "def model_backward(")
            )
        call = f"model({given}xs, target)"
        text = [f"def {call}:", *inside([*out, *back, *clip, "return loss, dys, grads"])]
        example = [*setup, *self.data(), f"loss, dxs, grads = {call}"]
        return text, Truth("\n".join(example), f"{call}[0]", grads, (*marks, f"    {from_loss[0]}"))
