"""What this processor has: how wide its vector registers are, how many, and what they can do.

``BPTT_TARGET`` in the environment narrows it: ``avx512``, ``avx2``, or ``baseline``, which is what every
processor of the architecture has.
"""

import os
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from bptt.errors import ConfigError
from bptt.types import Dtype


@dataclass(frozen=True, eq=False)
class Host:
    """A processor to make code for.

    Attributes
    ----------
    cpu, features, triple : str
        As LLVM calls them.
    bits : int
        Width of a vector register.
    registers : int
        How many vector registers there are.
    fma, avx512, avx512_bf16 : bool
        Whether it multiplies and adds in one rounding; has AVX-512 (F, BW, DQ, VL); has AVX-512's products
        of bfloat16.
    """

    cpu: str
    features: str
    triple: str
    bits: int
    registers: int
    fma: bool
    avx512: bool = False
    avx512_bf16: bool = False

    def lanes(self, dtype: Dtype) -> int:
        """Return how many numbers a vector register holds."""
        return self.bits // (8 * np.dtype(dtype).itemsize)


_X86 = {
    "baseline": Host("x86-64", "", "", bits=128, registers=16, fma=False),
    "avx2": Host("x86-64-v3", "", "", bits=256, registers=16, fma=True),
    "avx512": Host("x86-64-v4", "", "", bits=512, registers=32, fma=True, avx512=True),
}
"""What processors of a level have, but for their triple."""


def host() -> Host:
    """Return this processor, narrowed by ``BPTT_TARGET``.

    Raises
    ------
    ConfigError
        If ``BPTT_TARGET`` names what does not exist, or what this processor does not have.
    """
    return _host(os.environ.get("BPTT_TARGET", ""))


@cache
def _host(target: str) -> Host:
    import llvmlite.binding as llvm

    if target and target not in _X86:
        raise ConfigError(f"BPTT_TARGET must be avx512, avx2 or baseline, got {target!r}")
    triple = str(llvm.get_process_triple())
    if os.name == "nt":
        triple += "-elf"  # LLVM's linker in memory does not do all of Windows' own format
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know every system's way to ask
        features = {}
    cpu, flags = llvm.get_host_cpu_name(), features.flatten() if features else ""
    has = {name for name, there in features.items() if there}
    if not triple.startswith(("x86_64", "amd64", "i686")):
        return _not_x86(target, triple, cpu, flags)
    avx2 = {"avx2", "fma"} <= has
    avx512 = avx2 and {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= has
    if not {"avx512": avx512, "avx2": avx2}.get(target, True):
        raise ConfigError(f"BPTT_TARGET={target}: this processor does not have it; leave BPTT_TARGET unset")
    best = "avx512" if avx512 else "avx2" if avx2 else "baseline"
    level = replace(_X86[target or best], triple=triple)
    if target:
        return level
    return replace(level, cpu=cpu, features=flags, avx512_bf16=avx512 and "avx512bf16" in has)


def _not_x86(target: str, triple: str, cpu: str, features: str) -> Host:
    if target in ("avx512", "avx2"):
        raise ConfigError(f"BPTT_TARGET={target}: {triple} does not have it; leave BPTT_TARGET unset")
    if target == "baseline":
        cpu, features = "generic", ""
    arm = triple.startswith(("aarch64", "arm64"))
    return Host(cpu, features, triple, bits=128, registers=32 if arm else 16, fma=arm)
