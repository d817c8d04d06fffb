"""A network becomes a program: first a place for everything (`layout`), then the lines that compute it (`operations`).

A *row* is one (y, x, channel) position of T samples side by side; an image is stored [y][x][channel][lane]. im2col's gather
is then nothing but strides: the patch under an output is a few runs of rows that lie side by side. Taps that fall into
padding are left out of the sums, so positions are grouped into rectangles that see the same taps: nine for a padded 3x3
convolution.
"""

from .bounds import require_inside
from .layout import Layout
from .narrow import Narrow, is_narrow
from .operations import BACKWARD, FORWARD
from .table import table_of
from .wide import Wide

NARROW_BATCH = 3
"""The largest batch that is trained one sample at a time: with 4, a tile of T samples is as fast on networks A and D."""


class Plan:
    """The program of a network.

    Attributes
    ----------
    layout : Layout
        Where everything lies.
    forward, backward : int64 arrays (lines, COLUMNS)
    samples : int
        Of a tile.
    multiply_adds : int
        Of a sample's forward pass.
    """

    def __init__(self, net, T, products=Wide):
        self.layout = Layout(net, T, products(T))
        products = self.layout.products
        self.samples = products.samples
        stages, back = self.layout.stages, [stage for stage in reversed(self.layout.stages) if stage.dy]
        self.forward = table_of((stage.owner, line) for stage in stages for line in FORWARD[stage.kind](stage, products))
        self.backward = table_of((stage.owner, line) for stage in back for line in BACKWARD[stage.kind](stage, products))
        self.multiply_adds = sum(layer.multiply_adds(shape) for layer, shape in zip(net.layers, net.shapes))
        require_inside(self)


def products_for(net, batch_size):
    """What fills the lanes best: the samples of a batch, or a single sample's channels."""
    return Narrow if batch_size <= NARROW_BATCH and is_narrow(net) else Wide
