"""Dropout: ``y = x * kept / (1 - p)`` in training, ``y = x`` otherwise."""

from ... import layers
from ..equations import dropout_scale
from ..names import entry
from .operation import Elementwise


class Dropout(Elementwise, layer=layers.Dropout):
    """Units that are switched off for this step; the rest is scaled up to make up for them."""

    @staticmethod
    def remembered(x, cache):
        return {} if cache is None else {"kept": cache.kept}

    def settings(self):
        return {"scale": dropout_scale(self.layer), "p": self.layer.p}

    def constants(self):
        cache = self.trace.caches[self.index]
        return {} if cache is None else {dropout_scale(self.layer): float(cache.scale)}

    def factors(self, *at):
        kept = self.own("kept")
        return [entry(kept, *at), dropout_scale(self.layer)] if kept in self.trace else []

    def equations(self):
        kept = entry(self.own("kept"), *self.letters)
        return super().equations() | {self.own("kept"): f"{kept} = 1 with probability {1 - self.layer.p:g}, else 0"}
