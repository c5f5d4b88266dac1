"""The pages of public names: what `import bptt` gives is documented by the name that it has there."""

import inspect
import sys
from types import ModuleType
from typing import Any

import bptt

PUBLIC: dict[str, tuple[str, str]] = vars(bptt)["_PUBLIC"]
"""Where each lives: module and name."""


def setup(app: Any) -> None:
    """Let autodoc find what is public by its public name."""
    for name in PUBLIC:
        public = getattr(bptt, name)
        if isinstance(public, ModuleType):
            sys.modules[f"bptt.{name}"] = public  # bptt.losses, which lives in bptt.nets
        elif isinstance(public, type):
            public.__name__ = name  # Judgement, which checking calls Report
    app.connect("autodoc-process-signature", _signature)
    app.connect("missing-reference", _lead)


def _signature(app: Any, kind: str, name: str, it: Any, options: Any, call: Any, returns: Any) -> Any:
    """Return how a function is called; a class that does not say how it is made is made by the library."""
    if kind == "class" and "Parameters\n---" not in (inspect.getdoc(it) or ""):
        return "", None
    return None


def _lead(app: Any, env: Any, node: Any, text: Any) -> Any:
    """Return a link to what a docstring names by where it lives, or by its name alone."""
    if node.get("refdomain") != "py":
        return None
    domain, target = env.get_domain("py"), node["reftarget"]
    for name, (module, its) in PUBLIC.items():
        for place in (f"{module}.{its}", its, name):
            public = f"bptt.{name}{target[len(place) :]}"
            if f"{target}.".startswith(f"{place}.") and public in domain.objects:
                return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", public, node, text)
    return None
