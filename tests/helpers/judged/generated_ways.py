"""The whole way out of a generated implementation, and its way back: loops, what is kept, the loss."""

from judged.generated_lines import Lines
from judged.generated_names import Names, Style
from judged.generated_steps import Steps


def indented(lines: Lines, depth: int = 1) -> Lines:
    return ["    " * depth + line for line in lines]


class Ways(Steps):
    """Writes what goes through all steps."""

    def __init__(self, style: Style, names: Names):
        super().__init__(style, names)
        self.plain = style.form == "globals" or (style.unpack and style.form != "class")
        self.holder = "self" if style.form == "class" else "P"
        self.judged = style.loss != "cotangents"  # whether there is a loss of the code's own
        self.states = [names.h, *([names.c] if self.lstm else [])]
        self.given = [f"{state}0" for state in self.states] if style.start else []
        self.stacked = "np.stack(outs, axis=1)" if style.batch_first else "np.array(outs)"
        self.on_object = "self." if style.form == "class" else ""
        self.called = f"{names.d}outs" if not self.judged else names.targets

    # the way out

    def at(self, q: str) -> str:
        """Return where the code keeps a value of each step."""
        return f"{self.on_object}{q}_at"

    def stored(self) -> Lines:
        """Return what is kept of each step, states as themselves where their past is needed."""
        past = {self.n.past(state): state for state in self.states}
        own = [past.get(q, q) for q in self.cached() if q != self.n.x]
        return list(dict.fromkeys([*own, *(["p"] if self.judged and self.s.every else [])]))

    def sizes(self) -> Lines:
        n, s = self.n, self.s
        if s.layout == "rows" and s.start:
            return [f"T, N = {n.xs}.shape[{int(s.batch_first)}], len({self.given[0]})"]
        if s.layout == "rows":
            return [f"{'N, T' if s.batch_first else 'T, N'} = {n.xs}.shape[:2]"]
        return [f"T = len({n.xs})"] + ([f"N = {self.given[0]}.shape[1]"] if s.layout == "cols" else [])

    def begin(self) -> Lines:
        n, s = self.n, self.s
        kind = ", np.float32" if s.single else ""
        past = [n.past(state) for state in self.states]
        lines = [f"{name} = {start}" for name, start in zip(past, self.given, strict=False)]
        if not s.start:
            lines = [f"{name} = np.zeros((N, {self.hidden()}){kind})" for name in past]
        if s.cache == "tuples":
            return [*lines, f"{self.on_object}tape = []"]
        for q in self.stored():
            state = q in self.states
            if s.cache == "lists" or q == "p":
                lines += [f"{self.at(q)} = " + (f"{{-1: {n.past(q)}}}" if state else "{}")]
            else:
                lines += [f"{self.at(q)} = np.zeros((T{' + 1' if state else ''}, *{past[0]}.shape){kind})"]
                lines += [f"{self.at(q)}[0] = {n.past(q)}"] if state else []
        return lines

    def keep(self) -> Lines:
        if self.s.cache == "tuples":
            return [f"{self.on_object}tape.append(({', '.join([self.n.x, *self.kept_in_tuple()])}))"]
        t = self.n.t
        later = {q: " + 1" for q in self.states if self.s.cache == "arrays"}
        return [f"{self.at(q)}[{t}{later.get(q, '')}] = {q}" for q in self.stored()]

    def kept_in_tuple(self) -> Lines:
        return [q for q in self.cached() if q != self.n.x] + (["p"] if self.judged and self.s.every else [])

    def recall(self) -> Lines:
        """Return the lines that take a step's values out again."""
        n, t, arrays = self.n, self.n.t, self.s.cache == "arrays"
        if self.s.cache == "tuples":
            return [f"{', '.join([n.x, *self.kept_in_tuple()])} = {self.on_object}tape[{t}]"]
        lines, past = [self.read(f"{self.on_object}{n.xs}")], {n.past(state): state for state in self.states}
        for q in self.kept_in_tuple():
            if q in past:
                lines += [f"{q} = {self.at(past[q])}[{t}{'' if arrays else ' - 1'}]"]
            else:
                lines += [f"{q} = {self.at(q)}[{t}{' + 1' if arrays and q in self.states else ''}]"]
        return lines

    def outputs(self, h: str) -> Lines:
        bias = f" + {self.par(self.n.by)}" if self.s.bias else ""
        return [f"y = {self.lin(self.n.wy, h)}{bias}"] if self.s.layer else []

    def targets(self) -> str:
        return self.step_of(self.n.targets) if self.s.every else self.n.targets

    def read(self, xs: str) -> str:
        """Return the line that takes a step's input."""
        x, s = self.step_of(xs), self.s
        if s.inputs == "onehot":
            kind = ", dtype=np.float32" if s.single else ""
            x = f"np.eye({self.width()}{kind})[{x}]" + (".T" if s.layout == "cols" else "")
        return f"{self.n.x} = {x}"

    def way_out(self) -> Lines:
        n, s = self.n, self.s
        loop = [self.read(n.xs), *self.fore()]
        if s.every:
            loop += self.outputs(n.h) + (
                [*self.chances("y"), self.cost(self.targets())] if self.judged else []
            )
            loop += [] if self.judged else [f"outs.append({'y' if s.layer else n.h})"]
        loop += self.keep() + [f"{n.past(state)} = {state}" for state in self.states]
        lines = [
            *self.sizes(),
            *self.begin(),
            "loss = 0.0" if self.judged else "outs = []",
            f"for {n.t} in range(T):",
        ]
        lines += indented(loop)
        if not s.every:
            lines += [*self.outputs(n.h), *self.chances("y"), self.cost(self.targets())]
        return lines

    def width(self) -> str:
        """Return the width of one-hot inputs, read off a weight."""
        g = "" if self.s.weights == "packed" else self.gate(self.gates[0])
        if self.s.weights == "concat":
            return f"{self.par(self.n.w.format(g))}.shape[{1 if self.s.out_in else 0}] - {self.hidden()}"
        return f"{self.par(self.n.wx.format(g))}.shape[{1 if self.s.out_in else 0}]"

    # the way back

    def ready(self) -> Lines:
        """Return where gradients begin."""
        s, d = self.s, self.n.d
        names = list(self.shapes)
        if s.grads == "dict" and self.holder == "P" and s.form != "globals":
            lines = ["grads = {k: np.zeros_like(v) for k, v in P.items()}"]
        elif s.grads == "dict":
            lines = ["grads = {" + ", ".join(f'"{k}": np.zeros_like({self.par(k)})' for k in names) + "}"]
        else:
            lines = [f"{self.grad(k)} = np.zeros_like({self.par(k)})" for k in names]
        if s.inputs == "vectors":
            lines += [f"{d}{self.n.xs} = np.zeros_like({self.on_object}{self.n.xs})"]
        shape = f"{self.on_object}tape[0][1]" if s.cache == "tuples" else f"{self.at(self.n.h)}[0]"
        lines += [f"{d}{state}_next = np.zeros_like({shape})" for state in self.states]
        if s.weights == "concat":
            lines += [f"n_hid = {self.hidden()}"]
        return lines

    def into_outputs(self, h: str) -> Lines:
        n, dy = self.n, f"{self.n.d}y"
        lines = [f"{self.grad(n.wy)} += {self.outer(dy, h)}"]
        return lines + ([f"{self.grad(n.by)} += {self.total(dy)}"] if self.s.bias else [])

    def way_back(self) -> Lines:
        n, s, d = self.n, self.s, self.n.d
        dh, loop = f"{d}{n.h}", self.recall()
        if s.every and s.layer:
            loop += self.miss(self.targets()) if self.judged else [f"{d}y = {self.step_of(self.called)}"]
            loop += [*self.into_outputs(n.h), f"{dh} = {self.back(n.wy, f'{d}y')} + {dh}_next"]
        else:
            loop += [f"{dh} = {self.step_of(self.called)} + {dh}_next" if s.every else f"{dh} = {dh}_next"]
        loop += self.step_back()
        lines = self.ready()
        if not s.every:
            last = f"{self.on_object}last"
            lines += [f"p = {self.on_object}p_last"] if s.form in ("class", "functions") else []
            lines += [
                *self.miss(n.targets),
                *self.into_outputs(last),
                f"{dh}_next = {self.back(n.wy, f'{d}y')}",
            ]
        heads = {"reversed": "for {} in reversed(range(T)):", "range": "for {} in range(T - 1, -1, -1):",
                 "slice": "for {} in range(T)[::-1]:", "while": "while {} > 0:"}  # fmt: skip
        lines += [f"{n.t} = T"] if s.loop == "while" else []
        lines += [heads[s.loop].format(n.t), *indented(([f"{n.t} -= 1"] if s.loop == "while" else []) + loop)]
        return [*lines, *self.clipped()]

    def clipped(self) -> Lines:
        """Return the lines that hold gradients in bounds, which these never reach."""
        s, lines = self.s, []
        every = "grads.values()" if s.grads == "dict" else f"({', '.join(self.grad(k) for k in self.shapes)})"
        if s.clip == "entries":
            lines = [f"for slope in {every}:", "    np.clip(slope, -500, 500, out=slope)"]
        elif s.clip:
            lines += [f"norm = np.sqrt(sum((slope**2).sum() for slope in {every}))", "if norm > 5000:"]
            lines += [f"    for slope in {every}:", "        slope *= 5000 / norm"]
        return lines

    def results(self) -> Lines:
        """Return what the backward gives back, in order."""
        s, d = self.s, self.n.d
        grads = (
            []
            if s.kept or s.update
            else ["grads"]
            if s.grads == "dict"
            else [self.grad(k) for k in self.shapes]
        )
        if s.update and s.form == "class":
            return []
        if s.update:
            grads = ["grads"] if s.grads == "dict" else [self.grad(k) for k in self.shapes]
        inputs = [f"{d}{self.n.xs}"] if s.inputs == "vectors" else []
        return grads + inputs + ([f"{d}{state}_next" for state in self.states] if s.start else [])

    def last(self) -> Lines:
        """Return the lines that keep what the backward of a last step's loss needs."""
        if self.s.every:
            return []
        keep = [f"{self.on_object}p_last = p"] if self.s.form in ("class", "functions") else []
        return [*keep, f"{self.on_object}last = {self.n.h}"]
