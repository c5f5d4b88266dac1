"""A cell through time in compiled code: its interface, its loop, whole sequences, single steps."""
