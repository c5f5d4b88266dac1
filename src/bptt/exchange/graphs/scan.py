"""A cell of equations as a Scan: its body is the equations of one step, and the products with h."""

import ast
from collections.abc import Sequence

import numpy as np

from bptt.derive import EquationCell
from bptt.derive.axes import OVER, PLACES, SIZES
from bptt.derive.equations import Equations, Statement
from bptt.exchange.graphs.graph import Graph, Port
from bptt.layer.columns import Columns

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
REDUCED = {"sum": "ReduceSum", "max": "ReduceMax"}


def add_scan(
    graph: Graph,
    cell: EquationCell,
    name: str,
    x: str,
    states: Sequence[str],
    mask: str,
    *,
    inputs: str = "",
    given: Sequence[str] = (),
    reverse: bool,
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
        x W + b, (T, N, Gx·H); or "" where W feeds no gate.
    states : of (N, H)
    mask : str
        (T, N, 1), where steps are; or "".
    inputs : str
        (T, N, D), what the layer reads, for cells whose equations read it.
    given : of (T, N, width)
        What the equations read beside it, in their order.
    reverse : bool
        Whether time runs from the end.
    """
    reads_x = "x" in cell.inputs
    over = [array for array in (x, mask, inputs if reads_x or not x else "", *given) if array]
    *after, y = graph.add_all(
        "Scan",
        *states,
        *over,
        names=("",) * (len(states) + 1),
        body=_Step(graph, cell, name).body(masked=mask != "", reads_x=reads_x),
        num_scan_inputs=len(over),
        scan_input_directions=[int(reverse)] * len(over),
        scan_output_directions=[int(reverse)],
    )
    return y, after


class _Step:
    """Writes the body of a Scan: from the states, x W + b and the mask to the states and y.

    Where values have axes, each has four within the step: rows, heads, units and keys.
    """

    def __init__(self, around: Graph, cell: EquationCell, name: str) -> None:
        self.cell, self.equations = cell, cell.equations
        own = {n.removeprefix(name): a for n, a in around.arrays.items() if n.startswith(name)}
        self.H, self.dtype = cell.hidden(own), own["U"].dtype
        self.deep = not cell.equations.is_elementwise
        self.graph = Graph(f"step.{name}")
        # from outside: the columns that a product takes of its matrix and of b_h, and the units' parameters
        self.products = [p for p in Columns.of(cell, self.H).products if p.part.width]
        self.U: list[str] = []
        for matrix in dict.fromkeys(p.matrix for p in self.products):
            counts = [p.part.width for p in self.products if p.matrix == matrix]
            self.U += around.parts(f"{name}{matrix}", counts, axis=1)
        places = [k for m in dict.fromkeys(p.matrix for p in self.products) for k in self._places(m)]
        self.U = [self.U[places.index(k)] for k in range(len(places))]
        counts = [p.part.width for p in self.products]
        self.b_h = around.parts(f"{name}b_h", counts, axis=0) if counts and "b_h" in own else []
        self.values = {unit: f"{name}{unit}" for unit in cell.units}  # of the equations' names: the graph's
        self.delicate = _delicate(cell.equations)

    def _places(self, matrix: str) -> list[int]:
        return [k for k, p in enumerate(self.products) if p.matrix == matrix]

    def body(self, *, masked: bool, reads_x: bool) -> Graph:
        """Return the graph of one step."""
        graph, eq, scope, cell = self.graph, self.equations, self.graph.scope, self.cell
        before = [f"{scope}{state}" for state in eq.before]
        x, mask, at = (
            f"{scope}x.W",
            f"{scope}mask.t",
            f"{scope}x.t",
        )  # a dot: no name of the equations has one
        for state, name in zip(eq.states, before, strict=True):
            graph.inputs.append(Port(name, self.dtype, ("N", cell.width(state, self.H))))
        if cell.from_x:
            width = sum(cell.width(g, self.H) for g in cell.from_x)
            graph.inputs.append(Port(x, self.dtype, ("N", width)))
        if masked:
            graph.inputs.append(Port(mask, np.bool_, ("N", 1)))
        if reads_x or not cell.from_x:  # a scan goes over something
            graph.inputs.append(Port(at, self.dtype, ("N", "D")))
            self.values |= {"x": at} if reads_x else {}
        for name in (n for n in cell.inputs if n != "x"):
            self.values[name] = f"{scope}{name}.t"
            graph.inputs.append(Port(self.values[name], self.dtype, ("N", cell.width(name, self.H))))
        self.like = before[0]
        self.values |= dict(zip(eq.before, before, strict=True))
        if self.deep:
            own = [n for n in (*eq.before, *eq.params, *eq.inputs) if n not in eq.scalars]
            self.values |= {n: self._shaped(n, self.values[n], rows=n not in eq.params) for n in own}
        self._gates(x)
        for statement in eq.statements:
            self._set(statement)
        new = [self._whole(state) for state in eq.states]
        y = new[0]
        if masked:
            y = graph.add("Where", mask, y, graph.number(0.0, self.dtype))
            new = [graph.add("Where", mask, *pair) for pair in zip(new, before, strict=True)]
        widths = [cell.width(state, self.H) for state in (*eq.states, eq.states[0])]
        for name, value, width in zip((*eq.states, "y"), (*new, y), widths, strict=True):
            out = graph.add("Identity", value, name=f"{scope}{name}.{len(graph.outputs)}")
            graph.outputs.append(Port(out, self.dtype, ("N", width)))
        return graph

    def _gates(self, x: str) -> None:
        """Set the gates: their parts of x W + b, and, product after product, of what U takes and b_h."""
        cell, eq = self.cell, self.equations
        argument = dict(zip(cell.gates, eq.columns, strict=True))
        for k, p in enumerate(self.products):
            if k == 0 and not p.operand and cell.from_x == cell.from_h:  # as for most cells
                whole = self.graph.add("Add", x, self._product(self.values[eq.before[0]], eq.before[0], k))
                self.values |= self._parts(whole, cell.from_x, argument)
                continue
            if k == 0:
                self.values |= self._parts(x, cell.from_x, argument)
            for statement in eq.ancestors((p.operand,)):
                self._set(statement)
            q = p.operand or eq.before[0]
            for gate, part in self._parts(
                self._product(self.values[q], q, k), p.part.gates, argument
            ).items():
                had = self.values.get(gate)
                self.values[gate] = part if had is None else self.graph.add("Add", had, part)
        if not self.products:
            self.values |= self._parts(x, cell.from_x, argument)

    def _parts(self, value: str, gates: tuple[str, ...], argument: dict[str, str]) -> dict[str, str]:
        """Return the gates' columns of a product, by their names in the equations."""
        parts = self.graph.parts(value, [self.cell.width(g, self.H) for g in gates], axis=-1) if gates else []
        named = {argument[gate]: part for gate, part in zip(gates, parts, strict=True)}
        return {g: self._shaped(g, part) if self.deep else part for g, part in named.items()}

    def _product(self, value: str, name: str, k: int) -> str:
        """Return the k-th product, with its bias, of the value of that name."""
        product = self.graph.add("MatMul", self._flat(name, value) if self.deep else value, self.U[k])
        return self.graph.add("Add", product, self.b_h[k]) if self.b_h else product

    def _shaped(self, name: str, value: str, *, rows: bool = True) -> str:
        """Return a flat value with an axis for heads, units and keys."""
        return self.graph.add(
            "Reshape", value, self._sizes([0] * rows + [*self.equations.shape(name, self.H)])
        )

    def _flat(self, name: str, value: str) -> str:
        """Return a value of every row with one axis for all of these."""
        rows = self.graph.add("Shape", self.like, start=0, end=1)
        target = self.graph.add("Concat", rows, self._sizes([*self.equations.shape(name, self.H)]), axis=0)
        return self.graph.add("Reshape", self.graph.add("Expand", value, target), self._sizes([0, -1]))

    def _sizes(self, sizes: list[int]) -> str:
        name = f"{self.graph.scope}sizes {' '.join(map(str, sizes))}"
        return self.graph.array(name, np.array(sizes, np.int64))

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
            case ast.Name(id=name) if name in SIZES:
                sizes = dict(zip(PLACES, self.equations.sizes(self.H), strict=True))
                return graph.number(float(sizes[SIZES[name]]), self.dtype)
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
        if name in OVER:
            kind, _, axis = name.partition("_")
            if kind == "cumsum":
                at = graph.array(f"{graph.scope}axis {axis}", np.array(PLACES[axis], np.int64))
                return graph.add("CumSum", values[0], at)
            return graph.add(REDUCED[kind], values[0], graph.axes(PLACES[axis]), keepdims=1)
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

    def _whole(self, state: str) -> str:
        """Return a state of every row, also where it is made of no row's numbers."""
        eq, value = self.equations, self.values[state]
        if self.deep:
            return self._flat(state, value)
        if eq.made_of(state) & {*eq.gates, *eq.before, *eq.inputs}:
            return value
        return self.graph.add("Expand", value, self.graph.add("Shape", self.like))


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
