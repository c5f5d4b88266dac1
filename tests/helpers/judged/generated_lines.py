"""What the lines of a generated implementation are made of: parameters, products, the loss."""

from collections.abc import Iterator

from judged.generated_names import GATES, Names, Style

Lines = list[str]


class Writer:
    """Writes lines of one style. A parameter stands as `refer` says, its gradient as `refer_grad` does.

    Parameters
    ----------
    style, names
        How, and in which words.
    """

    def __init__(self, style: Style, names: Names):
        self.s, self.n = style, names
        if style.weights == "packed":  # one matrix has no gate in its name
            for kind in ("wx", "wh", "b", "bh"):
                setattr(names, kind, getattr(names, kind).replace("_{}", "{}"))
        self.gates = GATES[style.cell]
        self.lstm = style.cell in ("lstm", "coupled")
        self.holder, self.plain = "", True
        self.shapes = dict(self._parameters())

    def gate(self, g: str) -> str:
        return self.n.gates[g]

    def _parameters(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield parameters and their sizes, as (into, out of): names of sizes."""
        n, s = self.n, self.s
        suffixes = [""] if s.weights == "packed" else [self.gate(g) for g in self.gates]
        wide = f"{len(self.gates)} * n_hid" if s.weights == "packed" and len(self.gates) > 1 else "n_hid"
        for g in suffixes:
            if s.weights == "concat":
                yield n.w.format(g), ("n_in + n_hid", wide)
            else:
                yield n.wx.format(g), ("n_in", wide)
                yield n.wh.format(g), ("n_hid", wide)
            if s.bias:
                yield n.b.format(g), ("", wide)
        if s.cell == "after" and s.bias:
            yield n.bh.format("" if s.weights == "packed" else self.gate("n")), ("", wide)
        if s.layer:
            yield n.wy, ("n_hid", "n_out")
            if s.bias:
                yield n.by, ("", "n_out")

    def shape(self, name: str) -> str:
        into, out = self.shapes[name]
        if not into:
            return f"{out}, 1" if self.s.layout == "cols" else out
        return f"{out}, {into}" if self.s.out_in else f"{into}, {out}"

    def drawn(self, name: str) -> str:
        scale = 0.35 if self.s.cell == "relu" else 0.5  # what is not squashed must not grow into the clip
        made = f"np.random.randn({self.shape(name)}) * {scale}"
        return f"({made}).astype(np.float32)" if self.s.single else made

    def par(self, name: str) -> str:
        if self.plain:
            return name
        return f"{self.holder}.{name}" if self.holder == "self" else f'{self.holder}["{name}"]'

    def grad(self, name: str) -> str:
        return f'grads["{name}"]' if self.s.grads == "dict" else self.n.d + name

    def hidden(self) -> str:
        """Return how many units there are, read off a weight."""
        g = "" if self.s.weights == "packed" else self.gate(self.gates[0])
        if self.s.weights == "concat":
            return f"{self.par(self.n.w.format(g))}.shape[{0 if self.s.out_in else 1}]"
        return f"{self.par(self.n.wh.format(g))}.shape[{1 if self.s.out_in else 0}]"

    def step_of(self, name: str) -> str:
        """Return what of an array belongs to a step of time."""
        return f"{name}[:, {self.n.t}]" if self.s.batch_first else f"{name}[{self.n.t}]"

    # products, by layout

    def mul(self, a: str, b: str) -> str:
        if self.s.dot == "@":
            return f"{a} @ {b}"
        return f"np.dot({a}, {b})" if self.s.dot == "np.dot" else f"{a}.dot({b})"

    def lin(self, w: str, x: str) -> str:
        w = self.par(w)
        if self.s.layout == "rows":
            return self.mul(x, f"{w}.T" if self.s.out_in else w)
        return self.mul(w, x)

    def back(self, w: str, d: str) -> str:
        w = self.par(w)
        if self.s.layout == "rows":
            return self.mul(d, w if self.s.out_in else f"{w}.T")
        return self.mul(f"{w}.T", d)

    def outer(self, d: str, x: str) -> str:
        if self.s.layout == "vec":
            return f"np.outer({d}, {x})"
        if self.s.layout == "cols":
            return self.mul(d, f"{x}.T")
        return self.mul(f"{d}.T", x) if self.s.out_in else self.mul(f"{x}.T", d)

    def total(self, d: str) -> str:
        return {"rows": f"{d}.sum(axis=0)", "cols": f"np.sum({d}, axis=1, keepdims=True)", "vec": d}[
            self.s.layout
        ]

    def join(self, parts: Lines) -> str:
        inside = ", ".join(parts)
        return {
            "rows": f"np.hstack(({inside}))",
            "cols": f"np.vstack(({inside}))",
            "vec": f"np.concatenate(({inside}))",
        }[self.s.layout]

    def split(self, a: str) -> Lines:
        """Return how to take the gates out of what is packed: one line."""
        names = ", ".join(self.gate(g) for g in self.gates)
        axis = {"rows": ", axis=1", "cols": ", axis=0", "vec": ""}[self.s.layout]
        return [f"{names} = np.split({a}, {len(self.gates)}{axis})"]

    def part(self, d: str, of: str) -> str:
        cut = ":-n_hid" if of == "x" else "-n_hid:"
        return f"{d}[:, {cut}]" if self.s.layout == "rows" else f"{d}[{cut}]"

    # the loss

    def chances(self, y: str) -> Lines:
        """Return the lines from outputs to what is compared with targets: p."""
        if self.s.loss == "bce":
            return [f"p = {self.n.sig}({y})"]
        if self.s.loss == "squares":
            return [f"p = {y}"]
        axis = {"rows": "axis=1, keepdims=True", "cols": "axis=0, keepdims=True", "vec": ""}[self.s.layout]
        return [f"ex = np.exp({y} - np.max({y}{', ' + axis if axis else ''}))", f"p = ex / ex.sum({axis})"]

    def share(self) -> str:
        """Return by what the loss is divided."""
        return {"": "", "T": "T", "N": "N", "TN": "(T * N)"}[self.s.mean]

    def picked(self, p: str, at: str) -> str:
        return {"rows": f"{p}[np.arange(N), {at}]", "cols": f"{p}[{at}, np.arange(N)]", "vec": f"{p}[{at}]"}[
            self.s.layout
        ]

    def cost(self, target: str) -> str:
        """Return the line that adds to the loss."""
        eps, by = f" + {self.s.eps}" if self.s.eps else "", f" / {self.share()}" if self.s.mean else ""
        if self.s.loss == "squares":
            return f"loss += {'0.5 * ' if self.s.half else ''}np.sum((p - {target}) ** 2){by}"
        if self.s.loss == "bce":
            return f"loss -= np.sum({target} * np.log(p{eps}) + (1 - {target}) * np.log(1 - p{eps})){by}"
        if self.s.onehot:
            return f"loss -= np.sum({target} * np.log(p{eps})){by}"
        return f"loss -= np.sum(np.log({self.picked('p', target)}{eps})){by}"

    def miss(self, target: str) -> Lines:
        """Return the lines of the gradient at the outputs."""
        dy, by = f"{self.n.d}y", f" / {self.share()}" if self.s.mean else ""
        if self.s.loss == "softmax" and not self.s.onehot:
            lines = [f"{dy} = p.copy()", f"{self.picked(dy, target)} -= 1"]
            return lines + ([f"{dy} /= {self.share()}"] if by else [])
        twice = "2 * " if self.s.loss == "squares" and not self.s.half else ""
        return [f"{dy} = {twice}(p - {target}){by}" if twice or by else f"{dy} = p - {target}"]
