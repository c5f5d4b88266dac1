"""What this processor has: how wide its vector registers are, how many, and what they can do.

``BPTT_TARGET`` in the environment narrows it: ``avx512bf16``, ``avx512``, ``avx2``, or ``baseline``, which is
what every processor of the architecture has.
"""

import ctypes
import os
import sys
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
    fma, avx512, avx512_bf16, tiles : bool
        Whether it multiplies and adds in one rounding; has AVX-512 (F, BW, DQ, VL); has AVX-512's products
        of bfloat16; has registers for tiles of these (AMX), and the system lets this process have them.
    """

    cpu: str
    features: str
    triple: str
    bits: int
    registers: int
    fma: bool
    avx512: bool = False
    avx512_bf16: bool = False
    tiles: bool = False

    def lanes(self, dtype: Dtype) -> int:
        """Return how many numbers a vector register holds."""
        return self.bits // (8 * np.dtype(dtype).itemsize)


_X86 = {
    "baseline": Host("x86-64", "", "", bits=128, registers=16, fma=False),
    "avx2": Host("x86-64-v3", "", "", bits=256, registers=16, fma=True),
    "avx512": Host("x86-64-v4", "", "", bits=512, registers=32, fma=True, avx512=True),
}
_X86["avx512bf16"] = replace(_X86["avx512"], features="+avx512bf16", avx512_bf16=True)
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
        raise ConfigError(f"BPTT_TARGET must be avx512bf16, avx512, avx2 or baseline, got {target!r}")
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
    avx512_bf16 = avx512 and "avx512bf16" in has
    if not {"avx512bf16": avx512_bf16, "avx512": avx512, "avx2": avx2}.get(target, True):
        raise ConfigError(f"BPTT_TARGET={target}: this processor does not have it; leave BPTT_TARGET unset")
    best = "avx512" if avx512 else "avx2" if avx2 else "baseline"
    level = replace(_X86[target or best], triple=triple)
    if target:
        return level
    tiles = avx512_bf16 and {"amx-tile", "amx-bf16"} <= has and _may_have_tiles()
    return replace(level, cpu=cpu, features=flags, avx512_bf16=avx512_bf16, tiles=tiles)


def _may_have_tiles() -> bool:
    """Ask the system for the registers, which a process has only then; threads and forks have them, too."""
    if not sys.platform.startswith("linux") or sys.maxsize < 2**32:  # the call has that number in 64 bits
        return False
    arch_prctl, request, of_tiles = 158, 0x1023, 18
    call = ctypes.CDLL(None).syscall
    call.restype, numbers = ctypes.c_long, (arch_prctl, request, of_tiles)
    return int(call(*map(ctypes.c_long, numbers))) == 0


def _not_x86(target: str, triple: str, cpu: str, features: str) -> Host:
    if target in ("avx512bf16", "avx512", "avx2"):
        raise ConfigError(f"BPTT_TARGET={target}: {triple} does not have it; leave BPTT_TARGET unset")
    if target == "baseline":
        cpu, features = "generic", ""
    arm = triple.startswith(("aarch64", "arm64"))
    return Host(cpu, features, triple, bits=128, registers=32 if arm else 16, fma=arm)
