"""The plan of a network for this machine's lanes, made once."""

from weakref import WeakKeyDictionary

from ..support.threads import cores
from .machine.crew import MAX_THREADS
from .program.plan import Plan
from .program.wide import Wide
from .vector.lanes import T

_plans = WeakKeyDictionary()
_WORTH_SHARING = 2.5e6
"""Multiply-adds, about 50 us."""


def plan_of(net, products=Wide):
    """The plan of `net`, which fills the lanes with `products`."""
    plans = _plans.setdefault(net, {})
    if products not in plans:
        plans[products] = Plan(net, T, products)
    return plans[products]


def threads_for(n_threads, most, work):
    """As asked for, or one for each core unless there is too little `work` (multiply-adds) to share."""
    if n_threads is None:
        n_threads = 1 if work < _WORTH_SHARING else cores()
    return max(1, min(n_threads, most, MAX_THREADS))
