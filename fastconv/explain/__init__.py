"""Where every number of a gradient comes from: `trace` a training step, ask it `why`, check it, and diagnose your own.

>>> import fastconv, numpy as np
>>> net, x, labels = fastconv.explain.integer_example(samples=2)
>>> t = fastconv.explain.trace(net, x, labels)
>>> fastconv.explain.diagnose(t["d 0.weight"] * 2, t, "0.weight").mistake
'mean_missing'
"""

from ._diagnose import Diagnosis, diagnose
from ._gradcheck import Report, gradcheck
from ._trace import Trace, trace
from .examples import integer_example
from .ledger import Ledger, Term

__all__ = ["Diagnosis", "Ledger", "Report", "Term", "Trace", "diagnose", "gradcheck", "integer_example", "trace"]
