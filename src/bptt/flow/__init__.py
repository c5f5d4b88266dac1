"""Gradient flow: how much of a gradient arrives k steps before, and along which path.

One step of a cell (see :mod:`bptt.cells.base`) takes the states s_{t-1} to s_t. Its Jacobian, the states
taken as independent of each other, is a sum of connections, each elementwise or one matrix product::

    ∂s_t/∂s'_{t-1} = diag(∂s/∂s')                     direct: elementwise, no weight matrix
                   + Σ_g diag(∂s/∂a_g) U_gᵀ           through gate g, where s' is the output h
                   + Σ_n diag(∂s/∂a_n) U_nᵀ ∂q/∂s'    through gate n, whose product takes an operand q,
                                                      ∂q/∂s' being such a sum itself: q of a gate r of h

    J_k = ∂s_t/∂s_{t-k}, the product of the last k steps' Jacobians; J_0 = I

The elementwise factors come from the cell's own ``backward``, called with a one for one state at a time, so
that this holds for a hand-written cell and a derived one alike.

A path is a choice of connections: all the others are cut, at every step, in the Jacobian and not in the
forward. Cutting all but the direct ones leaves, for the LSTM's cell state, diag(∏ f). What is measured is

    gain_k = √( mean over positions t of ‖J_k‖_F² / H )

the root mean square by which a gradient with independent entries of mean 0 and variance 1 at the units of
s_t is multiplied on its way to a unit of s'_{t-k}; 1 at k = 0. A mean of squares, because a gradient summed
over positions is as large as its largest parts.
"""

from bptt.flow.connections import Path
from bptt.flow.measure import Flow, jacobians, through_time
from bptt.flow.positions import of_text

__all__ = ["Flow", "Path", "jacobians", "of_text", "through_time"]
