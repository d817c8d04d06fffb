"""The engine: the same network as a table of operations, run by one compiled interpreter over tiles of T samples.

`program/` makes the table, `vector/` has the kernels, `machine/` runs them. `Trainer`, `predict` and `listing` are all that
the rest of the package uses. What each operation stands for is in docs/engine.md.
"""

from .prediction import predict
from .trainer import Trainer
from .words import listing

__all__ = ["Trainer", "listing", "predict"]
