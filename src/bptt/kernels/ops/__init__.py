"""Whole operations in compiled code: products, sums, the output with its loss, an optimiser's step."""
