"""A program in words, a line an operation: `listing`."""

from ..layers import Linear
from .program import lines
from .program.bounds import Atlas
from .program.plan import Plan, products_for
from .program.table import OWNER, line_of

_HEADINGS = "", "layer", "computes", "at once", "times", "terms", "multiply-adds", "reads", "writes"
_NUMBERS = {0, 6}
"""Columns that stand to the right."""


def listing(net, *, batch_size=32, lanes=None):
    """The program of a network: what each line computes, how often, where it reads and writes, and its multiply-adds.

    Parameters
    ----------
    net : Sequential
    batch_size : int
        Batches of up to three are trained a sample at a time, by another program, where the network allows it.
    lanes : int, optional
        Floats in a vector; those of this machine unless given.

    Returns
    -------
    str
        A table of the forward program, and one of the backward program, for a tile of `lanes` samples, or of one. "at once"
        are the sums held in registers, "times" how often, loop by loop; "terms" what each sum adds up. Places are those of
        `Sequential.params` and of `fastconv.explain`, and how many floats from their beginning.

    Examples
    --------
    >>> from fastconv import Conv2d, Flatten, Linear, Sequential
    >>> net = Sequential([Flatten(), Linear(3)], input_shape=(1, 2, 2))
    >>> print(listing(net, lanes=8).split("backward")[0])
    8 lanes, 8 samples a tile; floats: 48 of packed parameters, 240 of a thread's workspace
    <BLANKLINE>
    forward
       layer     computes                     at once  times  terms  multiply-adds  reads                    writes
    0  1 Linear  y[o] = b[o] + Σ w[o,i] x[i]  1 × 3    1      4                 96  input, 1.weight, 1.bias  1.out
    <BLANKLINE>
    <BLANKLINE>
    """
    if lanes is None:
        from .vector.lanes import T as lanes
    plan = Plan(net, lanes, products_for(net, batch_size))
    layout = plan.layout
    sizes = f"floats: {layout.n_packed:,} of packed parameters, {layout.n_work:,} of a thread's workspace"
    head = f"{lanes} lanes, {plan.samples} sample{'s' * (plan.samples > 1)} a tile; {sizes}"
    forward, backward = (
        _aligned(_rows(net, plan, table, is_back)) for table, is_back in ((plan.forward, False), (plan.backward, True))
    )
    return f"{head}\n\nforward\n{forward}\n\nbackward\n{backward}"


class _Names:
    """What lies where, by the names of the derivation."""

    def __init__(self, layout):
        self._atlas = Atlas(layout)
        self._images = {layout.input.at: "input"} | {stage.y.at: f"{stage.owner}.out" for stage in layout.stages}

    def of(self, touches, stage, is_back):
        """-> what a line of `stage` reads, and what it writes"""
        found = {True: {}, False: {}}  # as sets that keep their order
        for touch in touches:
            region = self._atlas.region(touch.place)
            name, offset = self._of(touch, region, stage, is_back), touch.place.at - region.at
            found[touch.writes][f"{name}+{offset}" if offset else name] = None
        return ", ".join(found[False]), ", ".join(found[True])

    def _of(self, touch, region, stage, is_back):
        if touch.place.segment != lines.WORK:
            return f"{'d ' * (touch.place.segment == lines.GRADS)}{region.owner}.{region.name}"
        if region.name == "argmax":
            return f"{region.owner}.argmax"
        if is_back and stage.dx and region.at == stage.dx.at and (touch.writes or touch.name in ("out", "dx")):
            return f"d {self._images[stage.x.at]}"
        if is_back and region.at == stage.dy.at and touch.name not in ("mask", "y"):
            return f"d {self._images[stage.y.at]}"
        return self._images.get(region.at, region.name)


def _rows(net, plan, table, is_back):
    """A row of texts for each line."""
    names, stages = _Names(plan.layout), {stage.owner: stage for stage in plan.layout.stages}
    for number, row in enumerate(table):
        line, stage, T = line_of(row), stages[row[OWNER]], plan.layout.T
        layer = net.layers[stage.owner]
        touches = [touch for touch in line.touches(T) if touch.when]
        at_once, times, terms = map(_product_of, _COUNTS[type(line)](line, T))
        work = f"{line.multiply_adds(T):,}" if hasattr(line, "multiply_adds") else ""
        reads, writes = names.of(touches, stage, is_back)
        computes = _PRODUCTS.get(type(line), _computes)(line, layer, stage, writes)
        yield str(number), f"{stage.owner} {type(layer).__name__}", computes, at_once, times, terms, work, reads, writes


def _aligned(rows):
    rows = [_HEADINGS, *rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    texts = (
        [text.rjust(width) if k in _NUMBERS else text.ljust(width) for k, (text, width) in enumerate(zip(row, widths))]
        for row in rows
    )
    return "\n".join("  ".join(row).rstrip() for row in texts)


def _product_of(counts):
    return "" if counts is None else " × ".join(map(str, counts)) or "1"


def _over(*counts):
    return [count for count in counts if count != 1]


def _positions(line):
    return _over(line.q.n, line.p.n)


def _pool_counts(pool, T):
    return None, _over(pool.q.n, pool.p.n, pool.n_rows), _over(pool.down.n, pool.across.n)


_COUNTS = {
    lines.Product: lambda line, T: (
        [line.rows.n, line.scalars],
        _positions(line),
        _over(line.outer.n, line.middle.n, line.inner.n, line.run),
    ),
    lines.LaneProduct: lambda line, T: ([line.scalars, line.taps], [], _positions(line)),
    lines.Transpose: lambda line, T: ([line.n_rows], _positions(line), None),
    lines.SumLanes: lambda line, T: ([line.n_rows], _over(line.p.n), [T]),
    lines.DotLanes: lambda line, T: ([line.n_rows], _positions(line), _over(line.blocks, T)),
    lines.MaxPool: _pool_counts,
    lines.MaxPoolBack: lambda line, T: _pool_counts(line.pool, T),
    lines.ReLU: lambda line, T: (None, [line.size // T], None),
    lines.ReLUBack: lambda line, T: (None, [line.size // T], None),
    lines.AvgPool: lambda line, T: (None, _over(line.OH, line.OW, line.size // T), _over(line.KH, line.KW)),
    lines.AvgPoolBack: lambda line, T: _COUNTS[lines.AvgPool](line.pool, T),
    lines.Dropout: lambda line, T: (None, _over(line.pixels, line.C), None),
    lines.Zero: lambda line, T: (None, [line.size // T], None),
}
"""Kind -> the loops of a line: what is held in registers, how often, and what is summed."""
_COMPUTES = {
    lines.Transpose: "[filter][lane] -> [lane][filter]",
    lines.MaxPool: "y = max x, and which",
    lines.MaxPoolBack: "dx = dy at the winner, else 0",
    lines.ReLU: "y = max(0, x)",
    lines.ReLUBack: "dx = dy where y > 0, else 0",
    lines.AvgPool: "y = Σ x / taps",
    lines.AvgPoolBack: "dx = Σ dy / taps",
    lines.Dropout: "x / (1 - p), or 0",
    lines.Zero: "0",
}


def _computes(line, layer, stage, writes):
    return _COMPUTES[type(line)]


def _product(line, layer, stage, writes):
    if line.out.segment == lines.GRADS:
        if line.run == 0:
            return "0 in a shard's first tile"
        return _db(layer) if writes.partition("+")[0].endswith("bias") else _dw(layer, stage)
    is_dx = line.order == lines.ROWS_APART or line.x.segment == lines.WORK and line.order == lines.STRIDED
    return _dx(line, layer, stage) if is_dx else _y(line, layer, stage)


def _lane_product(line, layer, stage, writes):
    return f"{_db(layer) if 'bias' in writes else _dw(layer, stage)}, lane by lane"


def _sum_lanes(line, layer, stage, writes):
    return f"{'db' if writes.partition('+')[0].endswith('bias') else 'dw'} += Σ over the lanes"


_PRODUCTS = {
    lines.Product: _product,
    lines.LaneProduct: _lane_product,
    lines.SumLanes: _sum_lanes,
    lines.DotLanes: lambda line, layer, stage, writes: _dx(line, layer, stage),
}
"""Kinds that compute one thing or another."""


def _y(line, layer, stage):
    bias = line.init == lines.BIAS
    if isinstance(layer, Linear):
        y = f"y[o] = {'b[o] + ' * bias}Σ w[o,i] x[i]"
    else:
        y = f"y[f,i,j] = {'b[f] + ' * bias}Σ w[f,c,u,v] x[c,{_seen(stage.what.window)}]"
    return f"{y}, then max(0, y)" if line.final == lines.RELU else y


def _dw(layer, stage):
    if isinstance(layer, Linear):
        return "dw[o,i] += dy[o] x[i]"
    return f"dw[f,c,u,v] += Σ dy[f,i,j] x[c,{_seen(stage.what.window)}]"


def _db(layer):
    return "db[o] += dy[o]" if isinstance(layer, Linear) else "db[f] += Σ dy[f,i,j]"


def _dx(line, layer, stage):
    if isinstance(layer, Linear):
        dx = f"dx[i] {'+' * _is_added(line)}= Σ w[o,i] dy[o]"
    else:
        dx = f"dx[c,h,w] {'+' * _is_added(line)}= Σ w[f,c,u,v] dy[f,i,j], {_seen(stage.what.window)} = h,w"
    return f"{dx}, 0 where x = 0" if line.final == lines.MASK else dx


def _is_added(line):
    return getattr(line, "init", lines.ZERO) == lines.ADD


def _seen(K):
    """The pixel under a tap, such as 2i+u-1,j+v."""

    def along(i, u, S, D, P):
        return f"{S if S > 1 else ''}{i}+{D if D > 1 else ''}{u}{f'-{P}' if P else ''}"

    return f"{along('i', 'u', K.SH, K.DH, K.PT)},{along('j', 'v', K.SW, K.DW, K.PL)}"
