"""Functions at hand in this process: examples of somebody's code, and losses with their gradients."""

from bptt.checking.direct.function import assert_gradients, check

__all__ = ["assert_gradients", "check"]
