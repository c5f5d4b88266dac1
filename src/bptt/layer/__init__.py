"""One layer through time: the reference loop, a layer's columns, and how many threads there are."""
