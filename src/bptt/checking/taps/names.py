"""Names that the taps treat in their own way."""

import ast

MUTATORS = frozenset(
    """
    add_ append appendleft at backward clear copy_ extend fill insert items keys mark_dirty mul_ pop
    popleft remove reverse save_for_backward setdefault sort step sub_ update values zero_ zero_grad
    """.split()  # noqa: SIM905
)
"""Methods whose object must stay itself: a changed copy of it would lose what they do."""

CHANGES = frozenset(
    """
    add_ append appendleft copy_ extend fill insert mul_ sub_
    """.split()  # noqa: SIM905
)
"""Methods that change their object in place by what they are given."""

SHAPES = frozenset(
    """
    __class__ __name__ dtype grad_fn is_leaf ndim needs_input_grad requires_grad shape size
    """.split()  # noqa: SIM905
)
"""Attributes that are no arrays."""

PLAIN_CALLS = frozenset(
    """
    enumerate hasattr int isinstance len print range repr reversed str super type zip
    """.split()  # noqa: SIM905
)
"""Built-in functions whose results are no arrays."""

METHODS = frozenset(
    """
    T astype clip copy cumsum dot exp flatten item log matmul max mean min mm pow prod ravel relu
    repeat reshape sigmoid softmax sqrt squeeze std sum swapaxes t take tanh tolist transpose unsqueeze
    var view
    """.split()  # noqa: SIM905
)
"""Methods of arrays, whose object goes into arithmetic as it is."""


def root(node: ast.expr) -> str:
    """Return the name with which an expression begins: ``net`` of ``net.cells[0].step``; empty: with none."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
