"""Right implementations of recurrent networks in generated styles, with what is right of each."""

import numpy as np

from judged.generated_lines import Lines
from judged.generated_names import Names, drawn
from judged.generated_ways import Ways, indented
from judged.truth import Truth


def styles(seed: int) -> tuple[str, Truth]:
    """Return the text of an implementation in a style of its own, and how it is called and what is right.

    >>> text, truth = styles(3)
    >>> "import numpy as np" in text, truth.example.count("\\n") < 6
    (True, True)
    """
    rng = np.random.default_rng(seed)
    return Form(drawn(rng), Names(rng)).written()


class Form(Ways):
    """Puts the lines of a style together: a class, functions, one function, a closure, globals."""

    def written(self) -> tuple[str, Truth]:
        """Return the text and what is right of it."""
        forms = {
            "class": self._class, "functions": self._functions, "one": self._one,
            "globals": self._globals, "closure": self._closure,
        }  # fmt: skip
        return forms[self.s.form]()

    def head(self) -> Lines:
        v = self.n.sig
        lines = ["import numpy as np", "", *(["LEAK = 0.3", ""] if self.s.cell == "leaky" else [])]
        lines += ["", f"def {v}(a):", "    return 1 / (1 + np.exp(-a))", ""]
        if self.s.derivative == "function":
            lines += ["", f"def {v}_slope(s):", "    return s * (1 - s)", ""]
            lines += ["", "def tanh_slope(s):", "    return 1 - s**2", ""]
        return [*lines, ""]

    def unpacked(self) -> Lines:
        return [f'{k} = P["{k}"]' for k in self.shapes] if self.plain and self.s.form != "globals" else []

    def arguments(self) -> str:
        """Return what the forward is given, after its parameters."""
        return ", ".join([self.n.xs, *([self.n.targets] if self.judged else []), *self.given])

    def data(self) -> str:
        """Return the line that makes the data."""
        n, s = self.n, self.s
        of = {"rows": "(2, {})", "cols": "({}, 2)", "vec": "({},)"}[s.layout]
        N = "" if s.layout == "vec" else ", 2"
        steps = ("(2, 5)" if s.batch_first else f"(5{N})") if N else "5"
        kind = ".astype(np.float32)" if s.single else ""

        def normal(*sizes: str) -> str:
            return f"np.random.randn({', '.join(sizes)}){kind}"

        def sized(size: int, time: bool = True) -> str:
            if time and s.batch_first:
                return normal("2", "5", str(size))
            return normal(*(["5"] if time else []), of.format(size).strip("(,)"))

        makes = [sized(3) if s.inputs == "vectors" else f"np.random.randint(0, 7, {steps})"]
        out = 6 if s.layer else 4
        if not self.judged:
            makes += [sized(out)]
        elif s.loss == "squares":
            makes += [sized(6, s.every)]
        elif s.loss == "bce":
            makes += [f"({sized(6, s.every)} > 0).astype({'np.float32' if s.single else 'float'})"]
        else:
            tokens = f"np.random.randint(0, 6{f', {steps}' if s.every else N})"
            hot = f"np.eye(6)[{tokens}]" + (".swapaxes(-1, -2)" if s.layout == "cols" else "")
            makes += [hot + kind if s.onehot else tokens]
        makes += [sized(4, False) for _ in self.given]
        return f"{', '.join([n.xs, self.called, *self.given])} = {', '.join(makes)}"

    def truth(self, made: Lines, loss: str, run: str, last: str, marks: tuple[str, ...], par: str) -> Truth:
        """Return what is right: parameters and what is given, at what the backward returned in `made`."""
        results, s, n = self.results(), self.s, self.n
        where = {r: f"made[{made.index(r)}]" if len(made) > 1 else "made" for r in made}
        grads = {}
        for k in self.shapes:
            at = {"class": f"net.{k}", "globals": k}.get(s.form, f"P['{k}']")
            if s.update:
                step = f"(was[{at!r}] - {at}) / 0.1"
                grads[at] = step + (f" * np.sqrt({par}['{k}'] + 1e-8)" if s.update == "adagrad" else "")
            elif s.kept:
                grads[at] = f"net.grads['{k}']" if s.grads == "dict" else f"net.{self.grad(k)}"
            else:
                grads[at] = f"{where['grads']}['{k}']" if s.grads == "dict" else where[self.grad(k)]
        if f"{n.d}{n.xs}" in results and not s.update:
            grads[n.xs] = where[f"{n.d}{n.xs}"]
        if s.start and not s.update:
            grads |= {f"{state}0": where[f"{n.d}{state}_next"] for state in self.states}
        example = "\n".join([*([run] if run else []), last])
        return Truth(example, loss, grads, marks, self.after())

    def step_lines(self, memory: str) -> Lines:
        """Return the lines that change the parameters."""
        lines = []
        for k in self.shapes:
            g, w, m = self.grad(k), self.par(k), f'{memory}["{k}"]'
            if self.s.update == "rate":
                lines += [f"{w} -= 0.1 * {g}"]
            elif self.s.update == "adagrad":
                lines += [f"{m} += {g} * {g}", f"{w} -= 0.1 * {g} / np.sqrt({m} + 1e-8)"]
            else:
                lines += [f"{m} = 0.9 * {m} - 0.1 * {g}", f"{w} += {m}"]
        return lines

    def after(self) -> tuple[str, ...]:
        """Return the line from which gradients are clipped and used."""
        stepped = self.step_lines("self.memory") if self.s.update and self.s.form == "class" else []
        used = [*self.clipped(), *stepped]
        depth = {"class": 2, "closure": 2}.get(self.s.form, 1)
        return tuple(indented(used[:1], depth))

    def _class(self) -> tuple[str, Truth]:
        n, s = self.n, self.s
        sizes = "n_in, n_hid" + (", n_out" if s.layer else "")
        init = [f"{self.par(k)} = {self.drawn(k)}" for k in self.shapes]
        if s.update in ("adagrad", "momentum"):
            init += [
                "self.memory = {"
                + ", ".join(f'"{k}": np.zeros_like({self.par(k)})' for k in self.shapes)
                + "}"
            ]
        fore, back = (n.fore if not self.judged else "loss"), n.back
        out = [f"self.{n.xs} = {n.xs}", *self.way_out(), *self.last()]
        out += [
            "self.shared = T, N" if s.layout != "vec" else "self.shared = T",
            "return loss" if self.judged else f"return {self.stacked}",
        ]
        way = ["T, N = self.shared" if s.layout != "vec" else "T = self.shared", *self.way_back()]
        if s.update:
            way += self.step_lines("self.memory")
        elif s.kept:
            way += (
                ["self.grads = grads"]
                if s.grads == "dict"
                else [f"self.{self.grad(k)} = {self.grad(k)}" for k in self.shapes]
            )
        results = self.results()
        way += [f"return {', '.join(results)}"] if results else []
        text = [*self.head(), f"class {n.cls}:", f"    def __init__(self, {sizes}):", *indented(init, 2), ""]
        text += [f"    def {fore}(self, {self.arguments()}):", *indented(out, 2), ""]
        text += [f"    def {back}(self, {self.called}):", *indented(way, 2)]
        numbers = f"{3 if s.inputs == 'vectors' else 7}, 4" + (", 6" if s.layer else "")
        call = f"net.{fore}({self.arguments()})"
        run = f"net = {n.cls}({numbers})\n{self.data()}\n{'loss' if self.judged else 'outs'} = {call}"
        last = f"{'made = ' if results else ''}net.{back}({self.called})"
        loss = call if self.judged else f"({call} * {self.called}).sum()"
        truth = self.truth(results, loss, run, last, (f"    def {back}(",), "net.memory")
        return "\n".join(text) + "\n", truth

    def _maker(self) -> Lines:
        sizes = "n_in, n_hid" + (", n_out" if self.s.layer else "")
        return [
            f"def init({sizes}):",
            "    return {",
            *(f'        "{k}": {self.drawn(k)},' for k in self.shapes),
            "    }",
            "",
            "",
        ]

    def _made(self) -> str:
        return f"P = init({3 if self.s.inputs == 'vectors' else 7}, 4" + (", 6)" if self.s.layer else ")")

    def _functions(self) -> tuple[str, Truth]:
        n, s = self.n, self.s
        kept = ["tape"] if s.cache == "tuples" else [n.xs, *(self.at(q) for q in self.stored())]
        kept += ["T", *(["N"] if s.layout != "vec" else []), *(["p_last", "last"] if not s.every else [])]
        if s.inputs == "vectors" and n.xs not in kept:
            kept.append(n.xs)
        value = "loss" if self.judged else self.stacked
        out = [*self.unpacked(), *self.way_out(), *self.last(), f"return {value}, ({', '.join(kept)})"]
        way = [
            *self.unpacked(),
            f"{', '.join(kept)} = cache",
            *self.way_back(),
            f"return {', '.join(self.results())}",
        ]
        text = [*self.head(), *self._maker(), f"def {n.fore}(P, {self.arguments()}):", *indented(out), "", ""]
        text += [f"def {n.back}(P, cache, {self.called}):", *indented(way)]
        call = f"{n.fore}(P, {self.arguments()})"
        loss = f"{call}[0]" if self.judged else f"({call}[0] * {self.called}).sum()"
        run = f"{self._made()}\n{self.data()}\n{'loss' if self.judged else 'outs'}, cache = {call}"
        last = f"made = {n.back}(P, cache, {self.called})"
        return "\n".join(text) + "\n", self.truth(self.results(), loss, run, last, (f"def {n.back}(",), "")

    def _closure(self) -> tuple[str, Truth]:
        n = self.n
        value, argument = ("loss", "") if self.judged else (self.stacked, self.called)
        way = [*self.way_back(), f"return {', '.join(self.results())}"]
        out = [
            *self.unpacked(),
            *self.way_out(),
            *self.last(),
            "",
            f"def {n.back}({argument}):",
            *indented(way),
            "",
            f"return {value}, {n.back}",
        ]
        text = [*self.head(), *self._maker(), f"def {n.fore}(P, {self.arguments()}):", *indented(out)]
        call = f"{n.fore}(P, {self.arguments()})"
        loss = f"{call}[0]" if self.judged else f"({call}[0] * {self.called}).sum()"
        run = f"{self._made()}\n{self.data()}\n{'loss' if self.judged else 'outs'}, pull = {call}"
        return "\n".join(text) + "\n", self.truth(
            self.results(), loss, run, f"made = pull({argument})", (f"    def {n.back}(",), ""
        )

    def _one(self) -> tuple[str, Truth]:
        results = ["loss", *self.results()]
        body = [
            *self.unpacked(),
            *self.way_out(),
            *self.last(),
            *self.way_back(),
            f"return {', '.join(results)}",
        ]
        text = [*self.head(), *self._maker(), f"def {self.n.fore}(P, {self.arguments()}):", *indented(body)]
        call = f"{self.n.fore}(P, {self.arguments()})"
        run = f"{self._made()}\n{self.data()}"
        return "\n".join(text) + "\n", self.truth(
            results, f"{call}[0]", run, f"made = {call}", (self.mark(),), ""
        )

    def mark(self) -> str:
        return indented(self.ready())[0]

    def _globals(self) -> tuple[str, Truth]:
        n, s = self.n, self.s
        results = ["loss", *self.results()]
        sizes = {"n_in": 3 if s.inputs == "vectors" else 7, "n_hid": 4} | ({"n_out": 6} if s.layer else {})
        weights = [f"{', '.join(sizes)} = {', '.join(map(str, sizes.values()))}"]
        weights += [f"{k} = {self.drawn(k)}" for k in self.shapes]
        body = [*self.way_out(), *self.last(), *self.way_back(), f"return {', '.join(results)}"]
        text = [*self.head()[:-1], *weights, "", "", f"def {n.fore}({self.arguments()}):", *indented(body)]
        call = f"{n.fore}({self.arguments()})"
        last = f"made = {call}"
        if s.update:
            memory = ["memory = {" + ", ".join(f'"{k}": np.zeros_like({k})' for k in self.shapes) + "}"]
            inner = [
                f"global {', '.join(self.shapes)}",
                f"{', '.join(results)} = {call}",
                *self.step_lines("memory"),
                "return loss",
            ]
            text += ["", "", *memory, "", "", f"def train({self.arguments()}):", *indented(inner)]
            last = f"loss = train({self.arguments()})"
        return "\n".join(text) + "\n", self.truth(
            results, f"{call}[0]", self.data(), last, (self.mark(),), "memory"
        )
