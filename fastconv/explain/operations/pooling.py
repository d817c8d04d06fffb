"""What the two pools share."""

from functools import partial

import numpy as np

from ..mistakes import forms
from .windows import Windowed, assign


class Pooling(Windowed):
    """A pool: a window on each channel."""

    def span(self, i, j):
        """The rows and columns of the image that the window at (i, j) sees, without padding."""
        g = self.window
        top, left = i * g.SH - g.PT, j * g.SW - g.PL
        return range(max(top, 0), min(top + g.KH, g.H)), range(max(left, 0), min(left + g.KW, g.W))

    def windows_on(self, h, w):
        """The windows (i, j) that see pixel (h, w), in row-major order."""
        for i, j in np.ndindex(self.window.OH, self.window.OW):
            rows, columns = self.span(i, j)
            if h in rows and w in columns:
                yield i, j

    def overlaps(self):
        """The forms of overlapping windows that overwrite each other, where there are any."""
        return _OVERLAPS if self.window.SH < self.window.KH or self.window.SW < self.window.KW else ()


_OVERLAPS = forms(
    "overlap_assigned",
    "overlap",
    "add (+=) where a pool's windows overlap: a pixel that several windows used is owed the sum",
    *(partial(assign, by_tap=by_tap, chosen_only=chosen_only) for by_tap in (False, True) for chosen_only in (True, False)),
)
