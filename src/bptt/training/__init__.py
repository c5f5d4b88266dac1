"""A training run: its settings, its optimiser, its loop, and the folder that it leaves."""
