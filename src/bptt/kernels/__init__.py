"""Fast paths: machine code made on the user's machine, with the reference's contract.

================  ===============================================================================
:mod:`.host`      what this processor has
:mod:`.jit`       LLVM's intermediate representation to machine code, kept on disk
:mod:`.vector`    arithmetic and functions on vector registers
:mod:`.packing`   operands of products, as tiles read them
:mod:`.gemm`      products of matrices, tile by tile
:mod:`.bfloat16`  the same of numbers rounded to bfloat16
:mod:`.pool`      the threads that share out all of these
:mod:`.products`  whole products of two arrays
:mod:`.pieces`    a piece of one, in blocks that the caches hold
:mod:`.pointwise` a derivation's lines as vector code
:mod:`.stages`    lines of values with axes: which loops over axes compute what
:mod:`.nests`     these loops as vector code
:mod:`.interface` what a cell's loops through time are called with
:mod:`.slots`     where what the backward reads is kept
:mod:`.loop`      what their two directions have in common
:mod:`.sequence`  their code
:mod:`.compiled`  their machine code, and the weights as it reads them
:mod:`.rows`      how sequences lie in the rows of arrays
:mod:`.unrolled`  a layer over whole sequences
:mod:`.onestep`   a layer one step at a time
:mod:`.output`    the output matrix, the softmax cross-entropy and their gradients
:mod:`.sums`      sums over rows
:mod:`.update`    an optimiser's equations
:mod:`.memory`    arrays whose memory is used again
================  ===============================================================================

Nothing here is imported, and no code is made, before it is used.
"""
