"""Is this backward pass right, and if not, which statement is wrong, and what must stand there.

====================  ==================================================================================
``check_file``        judge the code of a file, from an example of its use
``check``             judge an example that is a function, or a function that returns a loss and gradients
``assert_gradients``  the same in a test: fails with the report as its text
``Report``            what is known: the verdict, the gradients, the place, the mends, the diff
``text``              a report as the command prints it
====================  ==================================================================================

The rooms behind it, low to high: `file` (any file as Python), `taps` (all that it computes, seen, changed),
`adjoints` (the gradient at each of these values), `verdict`, `locate` (which statement), `mend` (what it must
be), `cells` (which known cell it is), `example` (how the code is called), `examine` (all of these in order),
`child` (the process in which that runs), `direct` (functions, without a file), `report`.
"""

from bptt.checking.direct import assert_gradients, check
from bptt.checking.face import check_file
from bptt.checking.report import Report, text

__all__ = ["Report", "assert_gradients", "check", "check_file", "text"]
