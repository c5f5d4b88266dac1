"""Maps: matrices made of raw arrays once before the loop through time, their gradients taken back once after.

=========================  =====================================  ==========================================
``antisymmetric(γ)``       M - Mᵀ - γ I                           AntisymmetricRNN (Chang et al. 2019)
``lipschitz(β, γ)``        (1-β)(M + Mᵀ) + β(M - Mᵀ) - γ I        Lipschitz RNN (Erichson et al. 2021)
``orthogonal``             exp(M - Mᵀ)                            expRNN (Lezcano-Casado et al. 2019)
``cayley(part)``           (I + A)⁻¹ (I - A) D, A = M - Mᵀ        scoRNN (Helfrich et al. 2018)
``householder(k)``         k reflections                          Mhammedi et al. 2017
``low_rank(r)``            left right                             FastGRNN (Kusupati et al. 2018), LSTMP
``heads(n)``               n blocks along the diagonal            sLSTM's heads, RG-LRU's gates
``kronecker(n)``           A ⊗ B, A (n, n)                        Kronecker units (Jose et al. 2018)
``tensor_train(n, r)``     A_1 ⊗ B_1 + ... + A_r ⊗ B_r            tensor-train RNN (Yang et al. 2017)
``unitary``                of complex numbers, two entries each   uRNN (Arjovsky et al. 2016)
``masked("lower(n)")``     M where a mask is 1                    Clockwork RNN (Koutník et al. 2014)
``diagonal``               diag(v)                                IndRNN (Li et al. 2018)
``circulant, toeplitz``    of a vector
``dale(part)``             diag(±1) abs(M)                        Song et al. 2016
``reservoir(r, d, seed)``  drawn once, not learnt                 echo state networks (Jaeger 2001)
``legendre(θ)``            not learnt                             Legendre memory (Voelker et al. 2019)
``legs``                   not learnt                             HiPPO-LegS (Gu et al. 2020)
``constant(values)``       as given, not learnt
=========================  =====================================  ==========================================

Each is an equation of matrices, as :mod:`bptt.maps.text` reads them, and so is one of your own:
``"M @ M.T / 2"``. The pullback is derived, and compared with the complex step when the map is first used.
"""

from bptt.maps.base import Functions, Map, prove
from bptt.maps.by_equation import Equation
from bptt.maps.known import (
    MAPS,
    antisymmetric,
    cayley,
    circulant,
    constant,
    dale,
    diagonal,
    equation,
    heads,
    householder,
    kronecker,
    legendre,
    legs,
    lipschitz,
    low_rank,
    masked,
    orthogonal,
    read,
    reservoir,
    tensor_train,
    toeplitz,
    unitary,
)

__all__ = [
    "MAPS",
    "Equation",
    "Functions",
    "Map",
    "antisymmetric",
    "cayley",
    "circulant",
    "constant",
    "dale",
    "diagonal",
    "equation",
    "heads",
    "householder",
    "kronecker",
    "legendre",
    "legs",
    "lipschitz",
    "low_rank",
    "masked",
    "orthogonal",
    "prove",
    "read",
    "reservoir",
    "tensor_train",
    "toeplitz",
    "unitary",
]
