"""Whole models: their three parts, losses, starting values, evaluation, writing."""
