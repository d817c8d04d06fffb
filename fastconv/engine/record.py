"""The columns of a program: each line of the table is one operation on a tile, with its sizes and offsets.

Offsets count floats from a segment's start: PARAMS (packed weights and biases), WORK (a thread's workspace), GRADS (a shard).
"""

from itertools import count

PARAMS, WORK, GRADS = range(3)

# Operations: vector code first, each its own kernel, then the plain loops of `rows`.
PRODUCT, LANE_PRODUCT, TRANSPOSE, REDUCE_LANES, MAX_POOL, MAX_POOL_BACK, *_LOOPS = range(12)
RELU, RELU_BACK, AVG_POOL, AVG_POOL_BACK, DROPOUT, LANE_ZERO = _LOOPS
N_VECTOR = RELU

# What a product's accumulators start from, and what happens to them before they are stored.
ZERO, BIAS, ADD, ADD_UNLESS_FIRST = range(4)
PLAIN, RELU_AFTER, MASK_AFTER = range(3)

_column = count()
KIND = next(_column)
# Where: an offset and its segment. MASK and BIAS_AT lie in WORK and PARAMS.
X, X_IN, W, W_IN, OUT, OUT_IN, BIAS_AT, MASK = (next(_column) for _ in range(8))
# Accumulators: M scalars times ROWS rows, R apart; the scalars' ORDER (0: side by side, 1: T apart, 2: ACROSS apart, their results OM apart); start and end of a sum.
M, ROWS, XR, OR, MR, ACROSS, OM, ORDER, INIT, FINAL = (next(_column) for _ in range(10))
# Two loops over results: count, and strides of x, w, out and mask.
NQ, XQ, WQ, OQ, MQ = (next(_column) for _ in range(5))
NP, XP, WP, OP, MP = (next(_column) for _ in range(5))
# Three loops over the sum's terms: count, and strides of x and w; then N0 rows that lie side by side.
N3, X3, W3, N2, X2, W2, N1, X1, W1, N0 = (next(_column) for _ in range(10))
# The network's layer that a line belongs to.
OWNER = next(_column)
COLUMNS = 42
assert next(_column) <= COLUMNS

# Pools and dropout give other names to columns that only products use.
KH, KW, SH, SW, PT, PL, PB, PR = N3, X3, W3, N2, X2, W2, N1, X1
CHANNELS, HEIGHT, WIDTH = N0, W1, M
LAYER, THRESHOLD, MANTISSA, EXPONENT = N3, X3, W3, N2

# The context of a tile, filled in by the interpreter.
FIRST, START, SEED, START_FROM = 3, 4, 5, 6
CONTEXT = 8
