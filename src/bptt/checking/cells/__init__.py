"""Which known cell somebody's forward is, by the values that it has; and its gradients in the cell's terms.

The cells are those of :mod:`bptt.zoo` and a user's own, as equations. Nothing is known of the code: neither
its names nor its layout.
"""

from bptt.checking.cells.match import Match, recognise
from bptt.checking.cells.recording import Recorded

__all__ = ["Match", "Recorded", "recognise"]
