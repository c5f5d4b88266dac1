"""What must hold of equations that have been read."""

from bptt.derive.equations import Equations
from bptt.derive.source import FunctionText


def check(equations: Equations, source: FunctionText) -> None:
    """Raise where what is read has no gradient to give, or names would clash."""
    operands = tuple(equations.operand.values())
    needed = equations.ancestors((*equations.states, *operands))
    read = {name for s in needed for name in s.reads}
    if unread := [g for g in equations.gates if g not in read]:
        raise source.wrong(f"{unread[0]} is used nowhere: its weights could not learn; remove it, or use it")
    read |= {*operands}
    if unread := [p for p in (*equations.params, *equations.inputs) if p not in read]:
        kind = "parameter" if unread[0] in equations.params else "input"
        raise source.wrong(f"the {kind} {unread[0]} is used nowhere: remove it, or use it")
    names, complete = {s.name for s in equations.statements}, {*equations.gates} - {*equations.operand}
    for name, gates in equations.operands.items():
        if name not in names and name not in equations.before:
            raise source.wrong(
                f"operand= names {name!r}, which no equation sets, and which is no state before"
            )
        for gate in equations.operand:
            if gate in equations.made_of(name) and gate not in complete:
                says = (
                    "is made of it" if gate in gates else f"needs {gate}, whose own operand is set below it"
                )
                raise source.wrong(f"{name} is the operand of {', '.join(gates)} and {says}")
        complete.update(gates)
    values = (*names, *equations.arguments)
    adjoints = {f"d{s}_next": f"the gradient at {s} from the step after" for s in equations.states}
    moving = [n for n in values if n not in equations.constants]
    for name in moving:
        if f"d{name}" in adjoints:
            says = f"the gradient at {name} would be called d{name}, as {adjoints[f'd{name}']} is"
            raise source.wrong(f"{says}: choose another name")
    adjoints |= {f"d{n}": f"the gradient at {n}" for n in moving} | {"Σ": "the sum over time"}
    for name in values:
        if name in adjoints:
            raise source.wrong(f"{name} is what {adjoints[name]} is called: choose another name")
        if name.startswith("U_") and f"a_{name[2:]}" in equations.operand:
            raise source.wrong(f"{name} is the matrix of a_{name[2:]}'s operand: choose another name")
