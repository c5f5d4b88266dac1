"""Runs beside each other: their losses, what they were set to, what they write, and how long it took.

`reading` has what is known of each, `words` the table for a terminal, `page` the file for a browser,
`tensorboard` the files for that.
"""

from bptt.reporting.reading import Comparison, Kept, report

__all__ = ["Comparison", "Kept", "report"]
