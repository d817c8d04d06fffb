"""Products for a tile of T samples: a row holds one number of each; nothing moves between lanes but for dw and db.

    y[f]  = b[f] + sum of w[f, u, v, c] * x[u, v, c]     rows: positions      scalars: filters      terms: taps and channels
    dx[c] = sum of w[f, u, v, c] * dy[u, v, f]           rows: positions      scalars: channels     terms: taps and filters
    dw[c] = sum of x[c, lane] * dy[lane]                 rows: T filters      scalars: channels     terms: positions and lanes

A linear layer is a convolution over an image of one pixel.
"""

from math import ceil

from . import lines
from .lines import GRADS, PARAMS, WORK, LaneProduct, Loop, Place, Product, Sum, SumLanes, Transpose, Zero
from .products import Products
from .rectangles import Run, Span, banded, chunks, common, even_parts, full_and_rest, positions, source_runs, tap_runs
from .registers import TAPS, for_weights, lane_filters, over_positions

FEW_CHANNELS = 6
"""Below, dw sums lanes; from here on channels fill enough registers: D's second layer, of 6, reaches two thirds of the peak."""
CHUNK = 24
"""Positions whose rows stay in the first-level cache while dw's taps pass over them."""
BAND = 2**16
"""Floats of the rows that a product reads before the next block of filters reads them again."""


class Wide(Products):
    """Samples in the lanes."""

    @property
    def samples(self):
        """One a lane."""
        return self.T

    def strides(self, C, is_input):
        """A row for each channel."""
        return C * self.T, self.T

    def seen_by_linear(self, x):
        """One pixel of many channels."""
        return x.as_pixel

    def scratch_sizes(self, stages):
        """dy transposed, a chunk at a time, or lanes of sums; and the lanes of db."""
        convs = [(stage.what, stage.y) for stage in stages]
        return {
            "scratch": max([_dw_scratch(conv, y) for conv, y in convs] + [0]),
            "bias scratch": max([conv.F * self.T for conv, _ in convs] + [0]),
            "ones": self.T,
        }

    def writes_dx_twice(self, conv):
        """Full blocks of filters are summed first, then the rest."""
        Fg = conv.in_group[1]
        return Fg > self.T and Fg % self.T > 0

    def forward(self, stage):
        """A product for each rectangle of positions and block of filters."""
        conv, x, y = stage.what, stage.x, stage.y
        K, T, (Cg, Fg) = conv.window, self.T, conv.in_group
        final, init = lines.RELU if stage.has_relu else lines.PLAIN, lines.BIAS if conv.has_bias else lines.ZERO
        columns = tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
        for i in banded(tap_runs(K.H, K.KH, K.SH, K.DH, K.PT, K.OH), x.row, BAND):
            for g, block, filters in conv.blocks:
                for j in columns:
                    yield from over_positions(
                        Product(
                            order=lines.ADJACENT,
                            scalars=filters,
                            out=y.place(i.first, j.first, g * Fg + block * T),
                            x=x.place(*_seen(K, i, j), g * Cg),
                            w=Place(PARAMS, conv.tap(g, block, i.tap, j.tap)),
                            init=init,
                            final=final,
                            bias=max(conv.bias, 0) + g * Fg + block * T,
                            q=Loop(i.count, x=K.SH * x.row, out=y.row),
                            p=Loop(j.count, x=K.SW * x.step, out=y.step),
                            middle=Sum(i.taps, x=K.DH * x.row, w=K.KW * Cg * T),
                            **_taps_of_a_row(conv, x, j.taps),
                        ),
                        T,
                    )

    # --- dw ---

    def dw(self, stage):
        """dw and db; few channels leave most accumulators of the product idle, so that their lanes are summed last."""
        conv, dy, bias_lanes = stage.what, stage.dy, self.scratch["bias scratch"]
        has_one_output = dy.H * dy.W == 1
        if conv.has_bias:
            yield from self._sum_lanes(conv.F, dy.at, conv.bias) if has_one_output else [Zero(bias_lanes, conv.F * self.T)]
        if conv.in_group[0] < FEW_CHANNELS:
            yield from self._bias_lanes(stage, Span(0, dy.H), Span(0, dy.W))
            yield from self._lane_dw(stage)
        else:
            for g in range(conv.groups):
                yield from self._transposed_dw(stage, g)
        if conv.has_bias and not has_one_output:
            yield from self._sum_lanes(conv.F, bias_lanes, conv.bias)

    def _bias_lanes(self, stage, rows, columns):
        """db as one more tap of dw, under which every pixel is 1."""
        conv, dy = stage.what, stage.dy
        if dy.H * dy.W == 1 or not conv.has_bias:
            return
        (i, ni), (j, nj) = rows, columns
        for f, filters in even_parts(conv.F, lane_filters(self.T)):
            out = self.scratch["bias scratch"] + f * self.T
            yield LaneProduct(
                scalars=filters,
                taps=1,
                x=self.scratch["ones"],
                w=dy.pixel(i, j, f),
                out=out,
                apart=self.T,
                q=Loop(ni, w=dy.row),
                p=Loop(nj, w=dy.step),
            )

    def _sum_lanes(self, F, at, out, taps=1):
        """Add up the lanes of F * taps rows at `at`, [filter][tap], into gradients [block of T filters][tap][filter]."""
        T = self.T
        for f in range(0, F, T):
            x, place = Place(WORK, at + f * taps * T), Place(GRADS, out + f * taps)
            yield SumLanes(n_rows=min(T, F - f), apart=taps * T, x=x, out=place, p=Loop(taps, x=T, out=T))

    def _transposed_dw(self, stage, g):
        """dw of one group, a few positions at a time, so that what is read again and again stays in the first-level cache."""
        conv, dy, T = stage.what, stage.dy, self.T
        K, (Cg, Fg) = conv.window, conv.in_group
        is_one_product = dy.H == dy.W == K.KH == K.KW == 1 and not K.PT + K.PL
        if not is_one_product:
            # A product without terms: it clears a shard's first gradient.
            clear = Product(order=lines.ROWS_APART, out=Place(GRADS, conv.tap(g)), init=lines.ADD_UNLESS_FIRST, run=0)
            yield from for_weights(clear, K.KH * K.KW * Cg, conv, 0, T)
        for rows, columns in chunks(dy.H, dy.W, CHUNK):
            if g == 0:  # here, where the chunk's dy is in the cache
                yield from self._bias_lanes(stage, rows, columns)
            area = rows.count * columns.count * T * T
            for block in range(conv.n_blocks):
                f = block * T
                yield Transpose(
                    n_rows=min(T, Fg - f),
                    apart=T,
                    x=dy.place(rows.first, columns.first, g * Fg + f),
                    out=self._transposed(block * area),
                    q=Loop(rows.count, x=dy.row, out=columns.count * T * T),
                    p=Loop(columns.count, x=dy.step, out=T * T),
                )
            init = lines.ADD_UNLESS_FIRST if is_one_product else lines.ADD
            yield from self._chunk_of_dw(stage, g, rows, columns, init)

    def _chunk_of_dw(self, stage, g, rows, columns, init):
        """All taps over the positions of one chunk."""
        conv, x, T = stage.what, stage.x, self.T
        K, Cg = conv.window, conv.in_group[0]
        is_one_run = K.DW == 1 and conv.groups == 1 and Cg < T
        row, area = columns.count * T * T, rows.count * columns.count * T * T
        for u in range(K.KH):
            i = common(positions(K.H, u * K.DH - K.PT, K.SH, K.OH), rows)
            for run in _runs_of_taps(K, is_one_run):
                j = common(run, columns)
                if i.count * j.count * run.taps:
                    yield from for_weights(
                        Product(
                            order=lines.ROWS_APART,
                            out=Place(GRADS, conv.tap(g, 0, u, run.tap)),
                            x=self._transposed((i.first - rows.first) * row + (j.first - columns.first) * T * T),
                            w=x.place(i.first * K.SH - K.PT + u * K.DH, j.first * K.SW - K.PL + run.tap * K.DW, g * Cg),
                            init=init,
                            middle=Sum(i.count, x=row, w=K.SH * x.row),
                            inner=Sum(j.count, x=T * T, w=K.SW * x.step),
                            run=T,
                        ),
                        run.taps * Cg,
                        conv,
                        area,
                        T,
                    )

    def _transposed(self, offset):
        return Place(WORK, self.scratch["scratch"] + offset)

    def _lane_dw(self, stage):
        """dw where there are few channels: filters times taps of sums, whose lanes are added at the end."""
        conv, x, dy, T, sums = stage.what, stage.x, stage.dy, self.T, self.scratch["scratch"]
        K, (Cg, Fg) = conv.window, conv.in_group
        size = conv.block // T  # taps of a filter
        yield Zero(sums, conv.F * size * T)
        runs = tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
        if K.DW > 1 or conv.groups > 1:
            runs = [run._replace(tap=run.tap + more, taps=1) for run in runs for more in range(run.taps)]
        for f, filters in [(g * Fg + f, n) for g in range(conv.groups) for f, n in even_parts(Fg, lane_filters(T))]:
            for u in range(K.KH):
                i = positions(K.H, u * K.DH - K.PT, K.SH, K.OH)
                for run in runs:
                    seen = x.pixel(i.first * K.SH - K.PT + u * K.DH, run.first * K.SW - K.PL + run.tap * K.DW, f // Fg * Cg)
                    for tap, taps in even_parts(run.taps * Cg, TAPS):
                        out = sums + (f * size + (u * K.KW + run.tap) * Cg + tap) * T
                        yield LaneProduct(
                            scalars=filters,
                            taps=taps,
                            x=seen + tap * T,
                            w=dy.pixel(i.first, run.first, f),
                            out=out,
                            apart=size * T,
                            q=Loop(i.count, x=K.SH * x.row, w=dy.row),
                            p=Loop(run.count, x=K.SW * x.step, w=dy.step),
                        )
        for g in range(conv.groups):
            yield from self._sum_lanes(Fg, sums + g * Fg * size * T, conv.tap(g), size)

    # --- dx ---

    def dx(self, stage):
        """dx as the forward product with the roles of channels and filters exchanged: col2im as a gather."""
        conv, dy, dx, T = stage.what, stage.dy, stage.dx, self.T
        K, (Cg, Fg) = conv.window, conv.in_group
        is_linear = K.H == K.W == K.OH == K.OW == 1
        columns = source_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
        for i in banded(source_runs(K.H, K.KH, K.SH, K.DH, K.PT, K.OH), dy.row, BAND):
            for g, c, blocks, channels in _blocks_of_channels(conv, is_linear):
                for j in columns:
                    q, p = Loop(i.count, x=dy.row, out=i.step * dx.row), Loop(j.count, x=dy.step, out=j.step * dx.step)
                    if is_linear:
                        p = Loop(blocks, w=T * T, out=T * T)
                    line = Product(
                        order=lines.ROWS_APART,
                        scalars=channels,
                        out=dx.place(i.first, j.first, g * Cg + c),
                        x=dy.place(i.output, j.output, g * Fg),
                        w=Place(PARAMS, conv.tap(g, 0, i.tap, j.tap, c)),
                        q=q._replace(mask=q.out),
                        p=p._replace(mask=p.out),
                        mask=stage.x.pixel(i.first, j.first, g * Cg + c) if stage.is_masked else 0,
                        outer=Sum(i.taps, x=-i.output_step * dy.row, w=i.tap_step * K.KW * Cg * T),
                        middle=Sum(j.taps, x=-j.output_step * dy.step, w=j.tap_step * Cg * T),
                    )
                    yield from self._over_filters(line, conv, lines.MASK if stage.is_masked else lines.PLAIN)

    def _over_filters(self, line, conv, final):
        """The sum over filters: full blocks of T, then the rest, added."""
        T = self.T
        full, rest = divmod(conv.in_group[1], T)
        if full:
            inner = Sum(full, x=T * T, w=conv.block)
            yield from over_positions(line._replace(inner=inner, run=T, final=lines.PLAIN if rest else final), T)
        if rest:
            more = line.moved(x=full * T * T, w=full * conv.block)
            yield from over_positions(more._replace(run=rest, init=lines.ADD if full else lines.ZERO, final=final), T)


def _seen(K, i, j):
    """The pixel under the first tap that a rectangle sees."""
    return i.first * K.SH - K.PT + i.tap * K.DH, j.first * K.SW - K.PL + j.tap * K.DW


def _taps_of_a_row(conv, x, taps):
    """The inner sums of a product: a kernel's row is one run where its taps lie side by side."""
    Cg = conv.in_group[0]
    if conv.window.DW == 1 and conv.groups == 1:
        return {"inner": Sum(), "run": taps * Cg}
    return {"inner": Sum(taps, x=conv.window.DW * x.step, w=Cg * conv.T), "run": Cg}


def _runs_of_taps(K, is_one_run):
    """Runs of columns for dw: with all taps that they see, where these lie side by side, else a tap at a time."""
    if is_one_run:
        return tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
    return [Run(*positions(K.W, v * K.DW - K.PL, K.SW, K.OW), v, 1) for v in range(K.KW)]


def _blocks_of_channels(conv, is_linear):
    """(group, first channel, blocks, channels in each); a linear layer's are one line: its only pixel leaves a loop free."""
    for g in range(conv.groups):
        for c, n, channels in full_and_rest(conv.in_group[0], conv.T):
            yield from [(g, c, n, channels)] if is_linear else [(g, c + k * conv.T, 1, channels) for k in range(n)]


def _dw_scratch(conv, y):
    """Floats that a layer's dw needs: dy transposed, a chunk at a time, or lanes of sums."""
    if conv.in_group[0] < FEW_CHANNELS:
        return conv.F * conv.block
    return ceil(conv.in_group[1] / conv.T) * min(CHUNK, y.H * y.W) * conv.T**2
