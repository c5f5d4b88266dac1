"""The numerical adjoint of every expression of a forward pass, and what they explain."""
