"""Examples: a few lines that call the code under judgement once, as its author would in a notebook.

===================  =====================================================================================
``given``            the user's own, from a file or from the command line
``sibling``          another function that takes what one takes
``stated``           what the file itself has: its docstrings, its tests
``main_program``     what the file does when it is run, made short
``candidates``       all of a file's, the best first; what the file does not have is written
``other_sizes``      a written example once more, with other sizes
``backwards``        the functions of a file that take gradients back
===================  =====================================================================================
"""

from bptt.checking.example.found import candidates
from bptt.checking.example.infile import main_program, stated
from bptt.checking.example.pieces import backwards, sibling
from bptt.checking.example.texts import Example, given, other_sizes

__all__ = ["Example", "backwards", "candidates", "given", "main_program", "other_sizes", "sibling", "stated"]
