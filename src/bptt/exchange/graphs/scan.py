"""A cell of equations as a Scan: its body is the equations of one step, and the products with h."""

import ast
from collections.abc import Sequence

import numpy as np

from bptt.derive import EquationCell
from bptt.derive.equations import Equations, Statement
from bptt.errors import ConfigError
from bptt.exchange.graphs.graph import Graph, Port

OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "Add",
    ast.Sub: "Sub",
    ast.Mult: "Mul",
    ast.Div: "Div",
    ast.Pow: "Pow",
}
FUNCTIONS = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "exp": "Exp",
    "log": "Log",
    "softplus": "Softplus",
    "sqrt": "Sqrt",
    "abs": "Abs",
    "max": "Max",
    "min": "Min",
    "sin": "Sin",
    "cos": "Cos",
    "erf": "Erf",
    "sign": "Sign",
    "floor": "Floor",
}


def add_scan(
    graph: Graph, cell: EquationCell, name: str, x: str, states: Sequence[str], mask: str, *, reverse: bool
) -> tuple[str, list[str]]:
    """Add one direction of a layer, and return its output (T, N, H) and its states after the sequence.

    Parameters
    ----------
    graph : Graph
        With the direction's arrays, as a layer here has them.
    cell : EquationCell
    name : str
        What the names of its arrays begin with.
    x : str
        x W + b, (T, N, Gx·H).
    states : of (N, H)
    mask : str
        (T, N, 1), where steps are; or "".
    reverse : bool
        Whether time runs from the end.
    """
    if cell.more:
        raise ConfigError(f"{cell.name} has {cell.more}, which no graph here has")
    if cell.starts:
        raise ConfigError(f"{cell.name}: its states start elsewhere than at zero, which no graph here says")
    over = [x, mask] if mask else [x]
    *after, y = graph.add_all(
        "Scan",
        *states,
        *over,
        names=("",) * (len(states) + 1),
        body=_Step(graph, cell, name).body(masked=mask != ""),
        num_scan_inputs=len(over),
        scan_input_directions=[int(reverse)] * len(over),
        scan_output_directions=[int(reverse)],
    )
    return y, after


class _Step:
    """Writes the body of a Scan: from the states, x W + b and the mask to the states and y."""

    def __init__(self, around: Graph, cell: EquationCell, name: str) -> None:
        self.cell, self.equations = cell, cell.equations
        U = around.arrays[f"{name}U"]
        self.H, self.dtype = len(U), U.dtype
        self.graph = Graph(f"step.{name}")
        # from outside: the columns that h and q take of U and of b_h, and the units' parameters
        counts = [count * self.H for count in (len(cell.from_h), len(cell.from_q)) if count]
        self.U = _columns(around, f"{name}U", counts, axis=1)
        self.b_h = _columns(around, f"{name}b_h", counts, axis=0) if f"{name}b_h" in around.arrays else []
        self.values = {unit: f"{name}{unit}" for unit in cell.units}  # of the equations' names: the graph's
        self.delicate = _delicate(cell.equations)

    def body(self, *, masked: bool) -> Graph:
        """Return the graph of one step."""
        graph, eq, scope = self.graph, self.equations, self.graph.scope
        before = [f"{scope}{state}" for state in eq.before]
        self.values |= dict(zip(eq.before, before, strict=True))
        x, mask = f"{scope}x.W", f"{scope}mask.t"  # a dot: no name of the equations has one
        graph.inputs += [Port(state, self.dtype, ("N", self.H)) for state in before]
        graph.inputs.append(Port(x, self.dtype, ("N", len(self.cell.from_x) * self.H)))
        if masked:
            graph.inputs.append(Port(mask, np.bool_, ("N", 1)))
        self._gates(x, before[0])
        for statement in eq.statements:
            self._set(statement)
        new = [self._whole(state, before[0]) for state in eq.states]
        y = new[0]
        if masked:
            y = graph.add("Where", mask, y, graph.number(0.0, self.dtype))
            new = [graph.add("Where", mask, *pair) for pair in zip(new, before, strict=True)]
        for name, value in zip((*eq.states, "y"), (*new, y), strict=True):
            out = graph.add("Identity", value, name=f"{scope}{name}.{len(graph.outputs)}")
            graph.outputs.append(Port(out, self.dtype, ("N", self.H)))
        return graph

    def _gates(self, x: str, h: str) -> None:
        """Set the gates: the sums of their parts of x W + b, of h U + b_h and of q U_q + b_h."""
        cell, eq = self.cell, self.equations
        argument = dict(zip(cell.gates, (*eq.gates, *eq.params), strict=True))
        hU = self._product(h, 0) if cell.from_h else ""
        if cell.from_x == cell.from_h:  # as for most cells
            parts = self._parts(self.graph.add("Add", x, hU), cell.from_x)
            self.values |= {argument[gate]: part for gate, part in parts.items()}
            return
        own, recurrent = self._parts(x, cell.from_x), self._parts(hU, cell.from_h)
        for gate in cell.gates:
            if gate not in (*cell.from_q, *cell.units):
                self.values[argument[gate]] = self._sum(own, recurrent, gate)
        if eq.q is not None:
            for statement in eq.ancestors((eq.q,)):
                self._set(statement)
            recurrent = self._parts(self._product(self.values[eq.q], -1), cell.from_q)
            self.values |= {argument[gate]: self._sum(own, recurrent, gate) for gate in cell.from_q}

    def _sum(self, own: dict[str, str], recurrent: dict[str, str], gate: str) -> str:
        parts = [values[gate] for values in (own, recurrent) if gate in values]
        return parts[0] if len(parts) == 1 else self.graph.add("Add", *parts)

    def _parts(self, value: str, gates: tuple[str, ...]) -> dict[str, str]:
        return dict(zip(gates, self.graph.split(value, len(gates), -1), strict=True)) if gates else {}

    def _product(self, operand: str, which: int) -> str:
        """Return h U, or q U where `which` is -1, with its bias."""
        product = self.graph.add("MatMul", operand, self.U[which])
        return self.graph.add("Add", product, self.b_h[which]) if self.b_h else product

    def _set(self, statement: Statement) -> None:
        if statement.name not in self.values:
            self.values[statement.name] = self._value(statement.expr, statement.name in self.delicate)

    def _value(self, expr: ast.expr, delicate: bool = False) -> str:
        """Return the value of an expression."""
        graph = self.graph
        match expr:
            case ast.Constant(value=int() | float() as value):
                return graph.number(float(value), self.dtype)
            case ast.Name(id=name) if name in self.equations.constants:
                return graph.number(self.equations.constants[name], self.dtype)
            case ast.Name(id=name):
                return self.values[name]
            case ast.UnaryOp(operand=operand):
                return graph.add("Neg", self._value(operand))
            case ast.BinOp(left=left, op=op, right=right):
                return graph.add(OPERATORS[type(op)], self._value(left), self._value(right))
            case ast.Call(func=ast.Name(id=function), args=args):
                return self._function(function, [self._value(a) for a in args], delicate)
        raise AssertionError(ast.dump(expr))  # the reader lets nothing else in

    def _function(self, name: str, values: list[str], delicate: bool) -> str:
        graph = self.graph
        if name == "where":  # v where u > 0, else w
            above = graph.add("Greater", values[0], graph.number(0.0, self.dtype))
            return graph.add("Where", above, *values[1:])
        if name in ("stop", "surrogate"):  # a graph is run forward
            return values[0]
        if name == "Phi":
            half = graph.add("Mul", values[0], graph.number(0.5**0.5, self.dtype))
            above = graph.add("Add", graph.add("Erf", half), graph.number(1.0, self.dtype))
            return graph.add("Mul", above, graph.number(0.5, self.dtype))
        if name == "sigmoid" and delicate:
            return graph.add("Reciprocal", self._one_and_exp(graph.add("Neg", *values)))
        if name == "softplus" and self.dtype != np.float32:  # onnxruntime's is for float32
            small = graph.add("Log", self._one_and_exp(graph.add("Neg", graph.add("Abs", *values))))
            return graph.add("Add", graph.add("Relu", *values), small)
        return graph.add(FUNCTIONS[name], *values)

    def _one_and_exp(self, value: str) -> str:
        """Return 1 + exp of a value."""
        return self.graph.add("Add", self.graph.add("Exp", value), self.graph.number(1.0, self.dtype))

    def _whole(self, state: str, like: str) -> str:
        """Return a state of every row, also where it is made of no row's numbers."""
        eq, value = self.equations, self.values[state]
        if eq.made_of(state) & {*eq.gates, *eq.before}:
            return value
        return self.graph.add("Expand", value, self.graph.add("Shape", like))


def _columns(graph: Graph, name: str, counts: list[int], axis: int) -> list[str]:
    """Return an array, or its columns for h and those for q."""
    if len(counts) < 2:
        return [name]
    sizes = graph.array(f"{name} columns", np.array(counts, np.int64))
    return graph.add_all("Split", name, sizes, names=("", ""), axis=axis)


def _delicate(equations: Equations) -> set[str]:
    """Return the values of which a logarithm or a quotient is made: there a tiny number is not zero.

    onnxruntime's sigmoid is zero below -18.
    """
    found: set[str] = set()
    for statement in equations.statements:
        parts = [n for n in ast.walk(statement.expr) if isinstance(n, ast.BinOp)]
        if statement.function == "log" or any(isinstance(n.op, ast.Div | ast.Pow) for n in parts):
            found |= {s.name for s in equations.ancestors(tuple(statement.reads))}
    return found
