"""The lines of a generated cell: its step out, and its step back."""

from judged.generated_lines import Lines, Writer


class Steps(Writer):
    """Writes the steps of the cell of its style."""

    # the step out

    def act(self, g: str, a: str) -> str:
        if g not in "gn":
            return f"{self.n.sig}({a})"
        return f"np.maximum({a}, 0.2 * ({a}))" if self.s.cell == "relu" else f"np.tanh({a})"

    def xterm(self, name: str) -> str:
        if self.s.inputs != "lookup":
            return self.lin(name, self.n.x)
        w, x = self.par(name), self.n.x
        if self.s.layout == "rows":
            return f"{w}.T[{x}]" if self.s.out_in else f"{w}[{x}]"
        return f"{w}[:, {x}]"

    def fore(self) -> Lines:
        """Return the lines from x and the past states to the new ones."""
        n, s, lines = self.n, self.s, []
        h, hp, c, cp = n.h, n.past(n.h), n.c, n.past(n.c)
        gate, out = self.gate, {g: self.gate(g) for g in self.gates}

        def pre(g: str, operand: str) -> str:
            bias = [self.par(n.b.format(g))] if s.bias else []
            if s.weights == "concat":
                return " + ".join([self.lin(n.w.format(g), operand), *bias])
            return " + ".join([self.xterm(n.wx.format(g)), self.lin(n.wh.format(g), operand), *bias])

        if s.weights == "packed" and s.cell == "after":
            bias = [f" + {self.par(b.format(''))}" if s.bias else "" for b in (n.b, n.bh)]
            axis = {"rows": ", axis=1", "cols": ", axis=0", "vec": ""}[s.layout]
            lines += [f"az, ar, an = np.split({self.xterm(n.wx.format(''))}{bias[0]}, 3{axis})"]
            lines += [f"mz, mr, m = np.split({self.lin(n.wh.format(''), hp)}{bias[1]}, 3{axis})"]
            lines += [f"{out[g]} = {n.sig}(a{g} + m{g})" for g in "zr"] + [
                f"{out['n']} = np.tanh(an + {out['r']} * m)"
            ]
        elif s.weights == "packed":
            lines += [f"a = {pre('', hp)}", *(self.split("a") if len(out) > 1 else [])]
            lines += [f"{out[g]} = {self.act(g, out[g] if len(out) > 1 else 'a')}" for g in self.gates]
        else:
            if s.weights == "concat":
                lines.append(f"v = {self.join([n.x, hp])}")
            first = "v" if s.weights == "concat" else hp
            for g in self.gates:
                if g == "n" and s.cell == "after":
                    lines += [
                        f"m = {self.lin(n.wh.format(out['n']), hp)}"
                        + (f" + {self.par(n.bh.format(out['n']))}" if s.bias else "")
                    ]
                    own = f" + {self.par(n.b.format(out['n']))}" if s.bias else ""
                    lines += [
                        f"{out['n']} = np.tanh({self.xterm(n.wx.format(out['n']))}{own} + {out['r']} * m)"
                    ]
                elif g == "n" and s.cell in ("gru", "mgu"):
                    lines += [f"kept = {out['r' if s.cell == 'gru' else 'f']} * {hp}"]
                    if s.weights == "concat":
                        lines += [f"v2 = {self.join([n.x, 'kept'])}"]
                    lines += [
                        f"{out[g]} = {self.act(g, pre(out[g], 'v2' if s.weights == 'concat' else 'kept'))}"
                    ]
                else:
                    lines += [f"{out[g]} = {self.act(g, pre(out[g], first))}"]
        if self.lstm:
            i = gate("i") if s.cell == "lstm" else f"(1 - {gate('f')})"
            lines += [
                f"{c} = {gate('f')} * {cp} + {i} * {gate('g')}",
                f"tc = np.tanh({c})",
                f"{h} = {gate('o')} * tc",
            ]
        elif s.cell == "leaky":
            lines += [f"{h} = (1 - LEAK) * {hp} + LEAK * {gate('n')}"]
        elif s.cell in ("rnn", "relu"):
            lines += [f"{h} = {gate('n')}"]
        else:
            z = gate("f" if s.cell == "mgu" else "z")
            lines += [
                f"{h} = (1 - {z}) * {hp} + {z} * {gate('n')}"
                if s.half
                else f"{h} = {hp} + {z} * ({gate('n')} - {hp})"
            ]
        return lines

    def cached(self) -> Lines:
        """Return what the step back reads."""
        n = self.n
        own = [n.x, n.past(n.h), *(self.gate(g) for g in self.gates)]
        if self.lstm:
            own += [n.past(n.c), "tc"]
        if self.s.cell == "after":
            own.append("m")
        return [*own, *([n.h] if self.s.layer else [])]

    # the step back

    def dact(self, g: str) -> str:
        v, kind = self.gate(g) if g != "tc" else "tc", self.s.derivative
        if g in ("g", "n", "tc"):
            if self.s.cell == "relu":
                return f"np.where({v} > 0, 1, 0.2)"
            forms = {
                "square": f"(1 - {v}**2)",
                "product": f"(1 - {v} * {v})",
                "np.square": f"(1 - np.square({v}))",
            }
            return forms.get(kind, f"tanh_slope({v})")
        forms = {
            "square": f"({v} - {v}**2)",
            "product": f"{v} * (1 - {v})",
            "np.square": f"{v} * (1.0 - {v})",
        }
        return forms.get(kind, f"{self.n.sig}_slope({v})")

    def step_back(self) -> Lines:
        """Return the lines from the gradient at h, whole, to those at parameters, x and the past states."""
        n, s, d, gate = self.n, self.s, self.n.d, self.gate
        h, hp, cp = n.h, n.past(n.h), n.past(n.c)
        dh, dc, lines, direct = f"{d}{h}", f"{d}{n.c}", [], []
        da = {g: f"{d}a_{gate(g)}" for g in self.gates}
        if self.lstm:
            f, o, new = gate("f"), gate("o"), gate("g")
            lines += [f"{dc} = {dc}_next + {dh} * {o} * {self.dact('tc')}"]
            lines += [f"{da['o']} = {dh} * tc * {self.dact('o')}"]
            if s.cell == "lstm":
                lines += [
                    f"{da['f']} = {dc} * {cp} * {self.dact('f')}",
                    f"{da['i']} = {dc} * {new} * {self.dact('i')}",
                ]
                lines += [f"{da['g']} = {dc} * {gate('i')} * {self.dact('g')}"]
            else:
                lines += [
                    f"{da['f']} = {dc} * ({cp} - {new}) * {self.dact('f')}",
                    f"{da['g']} = {dc} * (1 - {f}) * {self.dact('g')}",
                ]
            lines += [f"{dc}_next = {dc} * {f}"]
        elif s.cell in ("rnn", "relu"):
            lines += [f"{da['n']} = {dh} * {self.dact('n')}"]
        elif s.cell == "leaky":
            lines += [f"{da['n']} = LEAK * {dh} * {self.dact('n')}"]
            direct = [f"(1 - LEAK) * {dh}"]
        else:
            z, new = gate("f" if s.cell == "mgu" else "z"), gate("n")
            lines += [f"{da['n']} = {dh} * {z} * {self.dact('n')}"]
            direct = [f"{dh} * (1 - {z})"]
            if s.cell == "after":
                lines += [
                    f"{da['z']} = {dh} * ({new} - {hp}) * {self.dact('z')}",
                    f"{da['r']} = {da['n']} * m * {self.dact('r')}",
                ]
                lines += [f"{d}m = {da['n']} * {gate('r')}"]
            else:
                r, kept = gate("r" if s.cell == "gru" else "f"), f"{d}kept"
                if s.weights == "concat":
                    lines += [
                        f"{d}v2 = {self.back(n.w.format(gate('n')), da['n'])}",
                        f"{kept} = {self.part(d + 'v2', 'h')}",
                    ]
                else:
                    lines += [f"{kept} = {self.back(n.wh.format(gate('n')), da['n'])}"]
                direct += [f"{kept} * {r}"]
                if s.cell == "gru":
                    lines += [
                        f"{da['z']} = {dh} * ({new} - {hp}) * {self.dact('z')}",
                        f"{da['r']} = {kept} * {hp} * {self.dact('r')}",
                    ]
                else:
                    lines += [f"{da['f']} = ({dh} * ({new} - {hp}) + {kept} * {hp}) * {self.dact('f')}"]
        return lines + self._matrices(da, direct)

    def _matrices(self, da: dict[str, str], direct: Lines) -> Lines:
        n, s, d, x, hp = self.n, self.s, self.n.d, self.n.x, self.n.past(self.n.h)
        lines, dx, dhp = [], [], list(direct)
        if s.weights == "packed":
            if len(da) > 1:
                lines += [f"{d}a = {self.join(list(da.values()))}"]
                da = {"": f"{d}a"}
                if s.cell == "after":
                    lines += [f"{d}ah = {self.join([f'{d}a_{self.gate(g)}' for g in 'zr'] + [f'{d}m'])}"]
            else:
                da = {"": da["n"]}
        own = s.cell in ("gru", "mgu")  # whose candidate has an operand of its own
        if s.weights == "concat":
            lines += [f"v = {self.join([x, hp])}"]
        kept = f"{self.gate('r' if s.cell == 'gru' else 'f')} * {hp}" if own else ""
        for g, a in da.items():
            name, ah = (self.gate(g) if g else ""), a
            if s.cell == "after" and g in ("n", ""):
                ah = f"{d}m" if g else f"{d}ah"
            if s.weights == "concat":
                operand = self.join([x, kept]) if own and g == "n" else "v"
                lines += [f"{self.grad(n.w.format(name))} += {self.outer(a, operand)}"]
            else:
                operand = f"({kept})" if own and g == "n" else hp
                lines += [
                    self.xgrad(n.wx.format(name), a),
                    f"{self.grad(n.wh.format(name))} += {self.outer(ah, operand)}",
                ]
                dx += [self.back(n.wx.format(name), a)]
                dhp += [] if own and g == "n" else [self.back(n.wh.format(name), ah)]
            if s.bias:
                lines += [f"{self.grad(n.b.format(name))} += {self.total(a)}"]
                if ah != a:
                    lines += [f"{self.grad(n.bh.format(name))} += {self.total(ah)}"]
        if s.weights == "concat":
            shared = [g for g in da if not (own and g == "n")]
            lines += [f"{d}v = " + " + ".join(self.back(n.w.format(self.gate(g)), da[g]) for g in shared)]
            dx = [self.part(f"{d}v", "x")] + ([self.part(f"{d}v2", "x")] if own else [])
            dhp += [self.part(f"{d}v", "h")]
        if s.inputs == "vectors":
            lines += [f"{self.step_of(d + self.n.xs)} = {' + '.join(dx)}"]
        return [*lines, f"{d}{self.n.h}_next = {' + '.join(dhp)}"]

    def xgrad(self, name: str, a: str) -> str:
        if self.s.inputs != "lookup":
            return f"{self.grad(name)} += {self.outer(a, self.n.x)}"
        if self.s.layout == "vec":
            return f"{self.grad(name)}[:, {self.n.x}] += {a}"
        turned = f"{self.grad(name)}{'.T' if self.s.out_in else ''}"
        return f"np.add.at({turned}, {self.n.x}, {a}{'.T' if self.s.layout == 'cols' else ''})"
