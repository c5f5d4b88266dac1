"""Somebody's code, rewritten so that every expression and every statement of it can be seen and changed."""
