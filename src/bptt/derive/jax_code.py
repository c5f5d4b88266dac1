"""Lines of a step for PyTorch as lines for JAX: the same mathematics under JAX's names."""

import ast
from itertools import accumulate
from typing import Any

_NAMES = {
    "sigmoid": "jax.nn.sigmoid",
    "relu": "jax.nn.relu",
    "nn.functional.softplus": "jax.nn.softplus",
    "erf": "jax.scipy.special.erf",
    "special.ndtr": "jax.scipy.special.ndtr",
    "cat": "jnp.concatenate",
}
_KEYWORDS = {"dim": "axis", "dims": "axis", "keepdim": "keepdims"}


class JaxCode(ast.NodeTransformer):
    """Gives a line its names in JAX.

    Examples
    --------
    >>> JaxCode().line("da = torch.cat([da_i, da_f], dim=-1)  # (2)")
    'da = jnp.concatenate([da_i, da_f], axis=-1)  # (2)'
    >>> JaxCode().line("U_h, U_n = torch.split(U, [2 * H, H], dim=-1)")
    'U_h, U_n = jnp.split(U, [2 * H], axis=-1)'
    """

    def line(self, text: str) -> str:
        """Return a line with its remark."""
        code, remark, says = text.partition("  # ")
        return ast.unparse(self.visit(ast.parse(code))) + remark + says

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        """Return the gradient whether it is asked for or not: what nobody reads is not computed."""
        if "needs_input_grad" in ast.unparse(node.test):
            return self.visit(node.body)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Return a function's call."""
        self.generic_visit(node)
        called = ast.unparse(node.func)
        for keyword in node.keywords:
            keyword.arg = _KEYWORDS.get(keyword.arg or "", keyword.arg)
        if called.startswith("torch."):
            return self._function(called.removeprefix("torch."), node)
        if not isinstance(node.func, ast.Attribute):
            return node  # as int(...)
        a, rest = node.func.value, node.args
        match node.func.attr:
            case "to" | "clone":
                return a
            case "detach":
                return _called("jax.lax.stop_gradient", a)
            case "unflatten":
                return _called("lay", a, *rest[1:])
            case "flatten":
                return _called("flat", a) if rest else _called("jnp.ravel", a)
            case "new_ones":
                return _called("jnp.ones", *rest)
            case "amax":
                node.func.attr = "max"
        return node

    def _function(self, name: str, node: ast.Call) -> ast.AST:
        first, *rest = node.args
        match name:
            case "clamp":
                (bound,) = node.keywords
                return _called(f"jnp.{'maximum' if bound.arg == 'min' else 'minimum'}", first, bound.value)
            case "amax":
                name = "max"
            case "nn.functional.softplus":
                node.keywords = []
            case "chunk" | "split":
                if isinstance(rest[0], ast.List):
                    widths = [ast.unparse(w) for w in rest[0].elts[:-1]]
                    ends = accumulate(widths, lambda a, b: f"{a} + {b}")
                    node.args[1] = ast.parse(f"[{', '.join(ends)}]", mode="eval").body
                name = "split"
        node.func = ast.parse(_NAMES.get(name, f"jnp.{name}"), mode="eval").body
        return node


def _called(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.parse(name, mode="eval").body, list(arguments), [])
