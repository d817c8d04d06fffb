"""dw of a convolution that sees few channels, as vector code: the lanes are summed last.

`product` needs channels (or taps that lie side by side) for its accumulators; the first layer of a network has one to
three. Here the accumulators are 8 filters x 3 taps (4 x 3 but for AVX-512), each a vector of T samples, and every position adds
dy[f] * x[tap]:

    24 registers    8 filters x 3 taps of sums, lane by lane
    3 registers     the rows of x under 3 taps
    some more       the 8 rows of dy, one after the other

so 24 multiply-adds need 11 loads. One tap at a time is 1.3 to 1.5 times slower. The sums stay in the workspace,
[filter][tap][lane], until `transpose.sum_lanes` adds each one's lanes as a tree.
"""

from ..program import lines
from ..program.lines import TILE
from ..program.registers import TAPS, lane_filters
from ..program.table import columns
from .emitter import I64, VECTOR, Emitter, function, line_kernel, switch
from .lanes import USE_TWIN, T, kernel

_c = columns(lines.LaneProduct)


def _emit_sums(module, scalars, taps):
    """The function for so many sums: it takes pointers to x, dy and out, and the line."""
    made, e = function(module, f"fastconv_lanes_{scalars}_{taps}", 3, 1)
    b, (x, dy, out, line) = e.b, made.args
    x, dy = e.variable(x), e.variable(dy)
    f = e.fields(line, _c)
    sums = {(m, n): b.alloca(VECTOR) for m in range(scalars) for n in range(taps)}

    def place(m, n):
        return b.gep(out, [b.add(b.mul(f.apart, I64(m)), I64(n * T))])

    def position():
        rows = [e.load_row(b.gep(b.load(x), [I64(n * T)])) for n in range(taps)]
        for m in range(scalars):
            row = e.load_row(b.gep(b.load(dy), [I64(m * T)]))
            for n in range(taps):
                b.store(e.multiply_add(row, rows[n], b.load(sums[m, n])), sums[m, n])

    for k, total in sums.items():
        b.store(e.load_row(place(*k)), total)
    e.loop(f.q.n, [(x, f.q.x), (dy, f.q.w)], lambda: e.loop(f.p.n, [(x, f.p.x), (dy, f.p.w)], position))
    for k, total in sums.items():
        e.store_row(b.load(total), place(*k))
    b.ret_void()
    return made


@line_kernel
def _vector_lanes(builder, memory, line, tile):
    """All functions, and a switch over them."""
    e = Emitter(builder)
    f, start = e.fields(line, _c), e.field(tile, TILE.work)
    places = [builder.gep(memory, [builder.add(start, at)]) for at in (f.x, f.w, f.out)]

    def calls(*size):
        made = _emit_sums(builder.module, *size)
        return lambda: builder.call(made, [*places, line])

    number = builder.add(builder.mul(f.scalars, I64(TAPS + 1)), f.taps)
    sizes = [(scalars, taps) for scalars in range(1, lane_filters(T) + 1) for taps in range(1, TAPS + 1)]
    switch(builder, number, {scalars * (TAPS + 1) + taps: calls(scalars, taps) for scalars, taps in sizes})


def lane_product_vector(mem, line, tile):
    """A `LaneProduct`, as vector code; see `lane_product_twin` for what it does."""
    _vector_lanes(mem, line, tile)


def lane_product_twin(mem, line, tile):
    """out[m, tap, lane] += dy[m, position, lane] * x[position + tap, lane], summed over a rectangle of positions."""
    x0, dy0, out0 = tile[TILE.work] + line[_c.x], tile[TILE.work] + line[_c.w], tile[TILE.work] + line[_c.out]
    for m in range(line[_c.scalars]):
        for n in range(line[_c.taps]):
            at = out0 + m * line[_c.apart] + n * T
            out = mem[at : at + T]
            for q in range(line[_c.q.n]):
                for p in range(line[_c.p.n]):
                    x = x0 + q * line[_c.q.x] + p * line[_c.p.x] + n * T
                    dy = dy0 + q * line[_c.q.w] + p * line[_c.p.w] + m * T
                    for t in range(T):
                        out[t] += mem[dy + t] * mem[x + t]


lane_product = kernel(lane_product_twin if USE_TWIN else lane_product_vector)
