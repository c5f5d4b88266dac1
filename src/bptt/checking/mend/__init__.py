"""Edits of a statement that make it right, and the search for those after which all gradients are."""
