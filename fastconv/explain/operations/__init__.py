"""What `fastconv.explain` knows of each layer and loss: one file for each operation, and nothing of it anywhere else.

A file here holds an operation's equations, the terms of its sums, the wrong forms of its gradients and the words for them. It
is found by being here: `OPERATIONS` has the class for each type of layer, `CRITERIA` that for each loss.
"""

from importlib import import_module
from pkgutil import iter_modules

from .loss import CRITERIA
from .operation import OPERATIONS, Operation

__all__ = ["CRITERIA", "OPERATIONS", "operation_of"]

for _file in iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")


def operation_of(layer):
    """The class that explains `layer`; one that has no file here is walked through, but its sums are not known."""
    return OPERATIONS.get(type(layer), Operation)
