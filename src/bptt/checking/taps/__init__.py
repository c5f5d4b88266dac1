"""Somebody's code, rewritten so that every expression and every statement of it can be seen and changed."""

from bptt.checking.taps.instrument import Statement
from bptt.checking.taps.program import Call, Hooks, Outcome, Program
from bptt.checking.taps.values import bump, entries, flat, get, leaves

__all__ = ["Call", "Hooks", "Outcome", "Program", "Statement", "bump", "entries", "flat", "get", "leaves"]
