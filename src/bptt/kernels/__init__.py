"""Fast paths: machine code made on the user's machine, with the reference's contract.

================  ===============================================================================
:mod:`.host`      what this processor has
:mod:`.jit`       LLVM's intermediate representation to machine code, kept on disk
:mod:`.vector`    arithmetic and functions on vector registers
:mod:`.gemm`      products of matrices: packing and tiles
:mod:`.bfloat16`  the same of numbers rounded to bfloat16
:mod:`.products`  whole products of two arrays, on the pool of threads
:mod:`.sequence`  a cell's loops through time, which :mod:`.unrolled` runs
================  ===============================================================================

Nothing here is imported, and no code is made, before it is used.
"""
