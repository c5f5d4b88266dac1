"""Fast paths: machine code made on the user's machine, with the reference's contract.

=============  ==================================================================================
:mod:`.host`   what this processor has
:mod:`.jit`    LLVM's intermediate representation to machine code, kept on disk
:mod:`.vector` arithmetic and functions on vector registers
:mod:`.gemm`   products of matrices: packing, tiles, whole products on the pool of threads
=============  ==================================================================================

Nothing here is imported, and no code is made, before it is used.
"""
