"""Names that the taps treat in their own way."""


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


LIBRARIES = _set("np numpy torch math random F nn jnp jax os sys time copy itertools functools collections")
"""Modules, which are never values, and whose functions take arrays as they are."""

MUTATORS = _set("""
add_ append appendleft at backward clear copy_ extend fill insert items keys mark_dirty mul_ pop
popleft remove reverse save_for_backward setdefault sort step sub_ update values zero_ zero_grad
""")
"""Methods whose object must stay itself: a changed copy of it would lose what they do."""

CHANGES = _set("add_ append appendleft copy_ extend fill insert mul_ sub_")
"""Methods that change their object in place by what they are given."""

SHAPES = _set("__class__ __name__ dtype grad_fn is_leaf ndim needs_input_grad requires_grad shape size")
"""Attributes that are no arrays."""

PLAIN_CALLS = _set("enumerate hasattr int isinstance len print range repr reversed str super type zip")
"""Built-in functions whose results are no arrays."""

METHODS = _set("""
T astype clip copy cumsum dot exp flatten item log matmul max mean min mm pow prod ravel relu
repeat reshape sigmoid softmax sqrt squeeze std sum swapaxes t take tanh tolist transpose unsqueeze
var view
""")
"""Methods of arrays, whose object goes into arithmetic as it is."""
