"""exp for numbers up to 0, in float32, in a form that vectorises; math.exp is a call for every lane."""

from math import exp

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..jit import kernel
from .lanes import FINGERPRINT, USE_TWIN


@intrinsic
def _power_of_two(typing, n):
    """2 ** n for a whole number n from -126 to 127, held in a float32: its exponent field."""

    def codegen(context, builder, signature, args):
        bits = ir.IntType(32)
        exponent = builder.add(builder.fptosi(args[0], bits), bits(127))
        return builder.bitcast(builder.shl(exponent, bits(23)), ir.FloatType())

    return types.float32(types.float32), codegen


def exponential_vector(x):
    """e ** x for x <= 0 to 2 units in the last place; 0 below -87, NaN for NaN."""
    # x = n log 2 + r with |r| <= log(2) / 2, log 2 in two parts so that r is exact; Cephes' polynomial for e ** r.
    safe = x if x > np.float32(-87) else np.float32(-87)
    n = np.floor(safe * np.float32(1.44269504) + np.float32(0.5))
    r = safe - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    y = p * _power_of_two(n)
    return y if x > np.float32(-87) else (np.float32(0) if x <= np.float32(-87) else x)


def exponential_twin(x):
    """As `exponential_vector`."""
    return np.float32(exp(x))


exponential = kernel(exponential_twin if USE_TWIN else exponential_vector, key=FINGERPRINT)
