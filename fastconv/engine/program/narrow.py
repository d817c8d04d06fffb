"""Products for a single sample: T channels of a pixel lie in the lanes, for batches that would leave lanes of T samples idle.

An image is stored [y][x][channel], channels filled up with zeros to a multiple of T. The product exchanges its sides: a row
of T filters' weights times the numbers of some pixels. Forward sums are those of a tile of T samples, in the same order; dx
and dw agree to rounding.
"""

from math import ceil

from ...layers import Conv2d, Flatten, Linear
from . import lines
from .lines import GRADS, PARAMS, WORK, DotLanes, Loop, Place, Product, Sum, Transpose
from .products import Products
from .rectangles import Run, full_and_rest, positions, source_runs, tap_runs
from .registers import for_weights, over_pixels, pairs


def is_narrow(net):
    """Whether `net` can be planned so: no groups, the image goes into a product, and the output is one pixel."""
    layers = [layer for layer in net.layers if not isinstance(layer, Flatten)]
    grouped = any(isinstance(layer, Conv2d) and layer.groups > 1 for layer in layers)
    return bool(layers) and not grouped and isinstance(layers[0], (Conv2d, Linear)) and isinstance(layers[-1], Linear)


class Narrow(Products):
    """Channels in the lanes."""

    samples = 1

    def strides(self, C, is_input):
        """Channels side by side; only the input, which is read number by number, is not filled up."""
        return C if is_input else self._filled(C), 1

    def seen_by_linear(self, x):
        """One pixel of many channels, unless zeros lie between them."""
        return x.as_pixel if x.step == x.C else x

    def scratch_sizes(self, stages):
        """A convolution's weights with channels in the lanes, for dx."""
        convs = [stage.what for stage in stages if not _is_linear(stage)]
        sizes = [self._filled(conv.C) * conv.window.KH * conv.window.KW * self._filled(conv.F) for conv in convs]
        return {"scratch": max([*sizes, 0]), "ones": self.T}

    def writes_dx_twice(self, conv):
        """All filters are summed at once."""
        return False

    def _filled(self, C):
        return ceil(C / self.T) * self.T

    def forward(self, stage):
        """A product for each rectangle of positions."""
        conv, x, y, T = stage.what, stage.x, stage.y, self.T
        K, C = conv.window, conv.C
        init, final = lines.BIAS if conv.has_bias else lines.ZERO, lines.RELU if stage.has_relu else lines.PLAIN
        is_one_run = K.DW == 1 and x.step == C
        for i in tap_runs(K.H, K.KH, K.SH, K.DH, K.PT, K.OH):
            for j in tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW):
                seen = x.place(i.first * K.SH - K.PT + i.tap * K.DH, j.first * K.SW - K.PL + j.tap * K.DW)
                line = Product(
                    order=lines.STRIDED,
                    out=y.place(i.first, j.first),
                    x=Place(PARAMS, conv.tap(u=i.tap, v=j.tap)),
                    w=seen,
                    init=init,
                    final=final,
                    bias=max(conv.bias, 0),
                    middle=Sum(i.taps, x=K.KW * C * T, w=K.DH * x.row),
                    inner=Sum() if is_one_run else Sum(j.taps, x=C * T, w=K.DW * x.step),
                    run=j.taps * C if is_one_run else C,
                )
                rows, columns = Loop(i.count, w=K.SH * x.row, out=y.row), Loop(j.count, w=K.SW * x.step, out=y.step)
                yield from over_pixels(line, rows, columns, conv.n_blocks, conv.block, T)

    # --- dw ---

    def dw(self, stage):
        """db, then dw tap by tap."""
        conv, x = stage.what, stage.x
        K, C = conv.window, conv.C
        if conv.has_bias:
            yield from self._db(stage)
        is_one_run = K.DW == 1 and x.step == C and K.OH * K.OW > 1
        init = lines.ADD_UNLESS_FIRST
        if is_one_run:
            # A product without terms clears the gradient: runs of taps overlap.
            clear = Product(order=lines.ADJACENT, scalars=0, out=Place(GRADS, conv.tap()), init=init, run=0)
            yield from for_weights(clear, K.KH * K.KW * C, conv, self.T, 1)
            init, runs = lines.ADD, tap_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
        else:
            runs = [Run(*positions(K.W, v * K.DW - K.PL, K.SW, K.OW), v, 1) for v in range(K.KW)]
        for u in range(K.KH):
            for run in runs:
                yield from self._dw_of_taps(stage, u, run, init) if run.taps else ()

    def _db(self, stage):
        """One more tap, under which every pixel is 1."""
        conv, dy, T = stage.what, stage.dy, self.T
        for block, n in pairs(conv.n_blocks):
            yield Product(
                order=lines.ADJACENT,
                scalars=1,
                out=Place(GRADS, conv.bias + block * T),
                x=dy.place(c=block * T),
                w=Place(WORK, self.scratch["ones"]),
                init=lines.ADD_UNLESS_FIRST,
                rows=Loop(n, x=T, out=T),
                inner=Sum(dy.H * dy.W, x=dy.step),
            )

    def _dw_of_taps(self, stage, u, run, init):
        """Taps of a kernel's row u, over the outputs that see them."""
        conv, x, dy = stage.what, stage.x, stage.dy
        K = conv.window
        i = positions(K.H, u * K.DH - K.PT, K.SH, K.OH)
        seen = x.place(i.first * K.SH - K.PT + u * K.DH, run.first * K.SW - K.PL + run.tap * K.DW)
        line = Product(
            order=lines.ADJACENT,
            out=Place(GRADS, conv.tap(u=u, v=run.tap)),
            x=dy.place(i.first, run.first),
            w=seen,
            init=init,
            middle=Sum(i.count, x=dy.row, w=K.SH * x.row),
            inner=Sum(run.count, x=dy.step, w=K.SW * x.step),
        )
        yield from for_weights(line, run.taps * conv.C, conv, self.T, 1)

    # --- dx ---

    def dx(self, stage):
        """The weights with channels in the lanes, then the forward product with the roles of channels and filters exchanged."""
        return self._linear_dx(stage) if _is_linear(stage) else self._conv_dx(stage)

    def _conv_dx(self, stage):
        conv, dy, dx, T, scratch = stage.what, stage.dy, stage.dx, self.T, self.scratch["scratch"]
        K, C, F, final = conv.window, conv.C, self._filled(conv.F), lines.MASK if stage.is_masked else lines.PLAIN
        taps = K.KH * K.KW
        for c in range(0, C, T):
            yield Transpose(
                n_rows=min(T, C - c),
                apart=T,
                x=Place(PARAMS, conv.tap(c=c)),
                out=Place(WORK, scratch + c * taps * F),
                q=Loop(taps, x=C * T, out=F * T),
                p=Loop(conv.n_blocks, x=conv.block, out=T * T),
            )
        for i in source_runs(K.H, K.KH, K.SH, K.DH, K.PT, K.OH):
            for j in source_runs(K.W, K.KW, K.SW, K.DW, K.PL, K.OW):
                line = Product(
                    order=lines.STRIDED,
                    out=dx.place(i.first, j.first),
                    x=Place(WORK, scratch + (i.tap * K.KW + j.tap) * F * T),
                    w=dy.place(i.output, j.output),
                    final=final,
                    mask=stage.x.pixel(i.first, j.first) if stage.is_masked else 0,
                    outer=Sum(i.taps, x=i.tap_step * K.KW * F * T, w=-i.output_step * dy.row),
                    middle=Sum(j.taps, x=j.tap_step * F * T, w=-j.output_step * dy.step),
                    run=conv.F,
                )
                rows = Loop(i.count, w=dy.row, out=i.step * dx.row)
                columns = Loop(j.count, w=dy.step, out=j.step * dx.step)
                yield from over_pixels(line, rows, columns, ceil(C / T), taps * F * T, T)

    def _linear_dx(self, stage):
        """The weights as they lie, times dy lane by lane, then the lanes' sums: a transpose would move each for one use."""
        conv, dx, T = stage.what, stage.dx, self.T
        final = lines.MASK if stage.is_masked else lines.PLAIN
        mask = (stage.x if stage.is_masked else dx).at  # loaded where it is not used, too
        q = Loop(dx.H * dx.W, x=conv.C * T, out=dx.step, mask=dx.step)
        for part in full_and_rest(conv.C, T):
            c = part.first
            yield DotLanes(
                n_rows=part.size,
                apart=T,
                blocks=conv.n_blocks,
                block=conv.block,
                x=Place(PARAMS, conv.tap(c=c)),
                w=stage.dy.at,
                out=dx.place(c=c),
                final=final,
                mask=mask + c,
                q=q,
                p=Loop(part.count, x=T * T, out=T, mask=T),
            )


def _is_linear(stage):
    """Whether every pixel has its own weights, as in a linear layer, or under a kernel that lies on the whole image."""
    K, x, y = stage.what.window, stage.x, stage.y
    lies_on_it = (K.KH, K.KW) == (x.H, x.W) and not K.PT + K.PL and (K.DH == 1 or K.KH == 1) and (K.DW == 1 or K.KW == 1)
    return y.H * y.W == 1 and lies_on_it
