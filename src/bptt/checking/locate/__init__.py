"""The first statement of a backward that is wrong, and what it must give."""
