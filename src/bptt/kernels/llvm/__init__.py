"""Machine code: the host, vectors, products of blocks, pointwise equations, and how these are compiled."""
