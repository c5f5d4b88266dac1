"""What a network remembers: its units on a text, how far each loss's gradient reaches, what truncation cuts.

=============================  ==========================================================================
``look``                       measure a run, or a model: a ``Look``, which has the view and its page
``View``, ``Seen``, ``Layer``  what is seen, as data (:mod:`bptt.looking.view`)
=============================  ==========================================================================

The rooms, low to high: `view` (the data), `forward` (one sequence, with all that is computed), `gradient`
(each loss's, followed back), `values`, `equations`, `units` (what they remember and follow), `properties`
(of a text), `reading` (what a run is seen on), `measure` (one model, all of these), `page` (HTML), `face`.
"""

from bptt.looking.face import Look, look
from bptt.looking.view import Layer, Property, Seen, View

__all__ = ["Layer", "Look", "Property", "Seen", "View", "look"]
