"""Products in pieces that fill the registers: T accumulators, each a row of T sums, are what every size of vector has room for.

`product_sizes` are the functions that vector code has. Whoever plans a product cuts it into these.
"""

from .lines import ADJACENT, ROWS_APART, STRIDED, Loop
from .rectangles import equal_parts, even_parts

TAPS = 3
"""Of an image's row, which `LaneProduct` holds at once."""


def lane_filters(T):
    """How many filters `LaneProduct` holds at once: 8 x 3 sums and the rows of x fit AVX-512's 32 registers.

    The 16 of others take 4 x 3: with 8 x 3, half of which are spilled, AVX2 needs 1.2 to 1.6 times as long.
    """
    return 8 if T > 8 else 4


def product_sizes(T):
    """(order, scalars, rows) of every function that a product is made of: never more than T accumulators."""
    return [
        (order, scalars, rows)
        for order in (ADJACENT, ROWS_APART, STRIDED)
        for rows in (1, 2)
        for scalars in range(1, T // (2 if order == STRIDED else rows) + 1)
        if _is_compiled(scalars, T)
    ]


def _is_compiled(scalars, T):
    """An odd number above T / 2 is cut in two: less to compile."""
    return 2 * scalars <= T or scalars % 2 == 0


def in_sizes(scalars, T):
    """(first, size) of the one or two functions that make so many sums of a row."""
    if _is_compiled(scalars, T):
        return [(0, scalars)]
    return [(0, scalars // 2 + 1), (scalars // 2 + 1, scalars // 2)]


def pairs(n):
    """(first, 2) for each pair of n things, and the odd one (last, 1)."""
    return [(k, min(2, n - k)) for k in range(0, n, 2)]


def over_positions(line, T):
    """A product with samples in the lanes: pairs of positions times half as many scalars, then the odd one; -> its lines"""
    if line.p.n == 1:
        line = line._replace(p=line.q, q=line.p)
    if line.p.n < 2 or line.p.w:  # the rows of a pair share their scalars
        return _one_by_one(line, T)
    paired = line._replace(rows=line.p._replace(n=2), p=_doubled(line.p))
    found = [_scalars_from(paired, m, n, T) for m, n in even_parts(line.scalars, T // 2)]
    if line.p.n % 2:
        last = line.p.n - 1
        odd = line.moved(x=last * line.p.x, out=last * line.p.out, mask=last * line.p.mask)
        found += _one_by_one(odd._replace(p=odd.p._replace(n=1)), T)
    return found


def _one_by_one(line, T):
    """Positions one by one."""
    return [_scalars_from(line, m, n, T) for m, n in in_sizes(line.scalars, T)]


def _scalars_from(line, m, n, T):
    """The n sums of a product from number m on."""
    between = T if line.order == ROWS_APART else 1
    return line.moved(w=m * between, out=m * T, mask=m * T, bias=m)._replace(scalars=n)


def _doubled(loop):
    return loop._replace(n=loop.n // 2, x=2 * loop.x, out=2 * loop.out, mask=2 * loop.mask)


def for_weights(line, scalars, conv, area, apart):
    """A product for dw in pieces: so many scalars times pairs of blocks of filters, then the odd one; -> its lines

    Scalars lie `apart` floats from one another in w, blocks of filters `area` floats in x.
    """
    T, blocks, found = conv.T, conv.n_blocks, []
    paired = line._replace(rows=Loop(2, x=area, out=conv.block), q=Loop(blocks // 2, x=2 * area, out=2 * conv.block))
    odd = line.moved(x=(blocks - 1) * area, out=(blocks - 1) * conv.block)
    for shape, most in [(paired, T // 2)] * (blocks > 1) + [(odd, T)] * (blocks % 2):
        for part in equal_parts(scalars, most):
            parts = shape._replace(p=Loop(part.count, w=part.size * apart, out=part.size * T))
            for m, size in in_sizes(part.size, T):
                first = part.first + m
                found.append(parts.moved(w=first * apart, out=first * T)._replace(scalars=size))
    return found


def over_pixels(line, rows, columns, n_blocks, block, T):
    """A product of one sample with channels in the lanes: some pixels of a row, or of a column, times pairs of blocks; -> its
    lines

    `rows` and `columns` are loops over the pixels, of which w are the scalars; a block of weights is `block` floats from the
    next.
    """
    if columns.n == 1:
        rows, columns = columns, rows
    found = []
    for k, pair in pairs(n_blocks):
        for part in equal_parts(columns.n, T // 2):
            w, out = columns.w, columns.out
            moved = line.moved(
                x=k * block, bias=k * T, w=part.first * w, out=part.first * out + k * T, mask=part.first * out + k * T
            )
            found.append(
                moved._replace(
                    scalars=part.size,
                    stride=w,
                    apart=out,
                    rows=Loop(pair, x=block, out=T, mask=T),
                    q=rows._replace(mask=rows.out),
                    p=Loop(part.count, w=part.size * w, out=part.size * out, mask=part.size * out),
                )
            )
    return found
