"""Dropout."""

from ... import layers
from ..equations import dropout_scale
from ..names import entry
from .operation import Operation


class Dropout(Operation, layer=layers.Dropout):
    """``y = x * kept / (1 - p)`` in training, ``y = x`` otherwise."""

    @staticmethod
    def remembered(x, cache):
        if cache is None:
            return {}
        kept, _ = cache
        return {"kept": kept}

    def constants(self):
        cache = self.trace.caches[self.index]
        if cache is None:
            return {}
        _, scale = cache
        return {dropout_scale(self.layer): float(scale)}

    def equations(self):
        x, y, kept, at = self.x, self.y, self.own("kept"), self.at
        factors = f" * {kept}[{at}] * {dropout_scale(self.layer)}" if kept in self.trace else ""
        return {
            kept: f"{kept}[{at}] = 1 with probability {1 - self.layer.p:g}, else 0",
            y: f"{y}[{at}] = {x}[{at}]{factors}",
            x.d: f"{x.d}[{at}] = {y.d}[{at}]{factors}",
        }

    def out_terms(self, *index):
        return [[entry(self.x, *index), *self._factors(index)]]

    def dx_terms(self, *index):
        return [[entry(self.dy, *index), *self._factors(index)]]

    def _factors(self, index):
        kept = self.own("kept")
        return [entry(kept, *index), dropout_scale(self.layer)] if kept in self.trace else []
