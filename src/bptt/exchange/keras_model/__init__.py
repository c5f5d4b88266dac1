"""Keras's files: their containers, the model that their configuration describes, and its weights."""
