"""`gradcheck`: every gradient entry against the loss itself, moved a little to both sides."""

import copy
from typing import NamedTuple

import numpy as np

from ..network import Sequential
from ._trace import forward, trace
from .names import Name, entry
from .operations import operation_of

STEP = 1e-4
"""How far an entry is moved, twice to each side; a fourth-order formula at this step errs by about 1e-12."""

UNITS = 16
"""In the last place: what the loss may be off, of its size or of the largest output."""


class Check(NamedTuple):
    """One array's gradients, entry by entry; all fields have its shape.

    Attributes
    ----------
    analytic, numeric : float64 array
    error : float64 array
        Their difference relative to the larger, or to the least size at which the loss's own rounding leaves the tolerance.
    undefined : bool array
        The loss has a kink here: moving the entry opens or shuts a ReLU, or changes who wins a max pool's window or ties in it.
        There is no derivative to compare with, so such an entry neither passes nor fails.
    """

    analytic: np.ndarray
    numeric: np.ndarray
    error: np.ndarray
    undefined: np.ndarray


class Row(NamedTuple):
    """One entry of a report: its name, and the fields of `Check` as plain numbers."""

    entry: str
    analytic: float
    numeric: float
    error: float
    undefined: bool


class Report:
    """What `gradcheck` found: ``report["0.weight"]`` is a `Check`.

    Attributes
    ----------
    checks : dict of str to Check
        For every parameter and the "input".
    tolerance : float
    """

    def __init__(self, checks, tolerance):
        self.checks, self.tolerance = checks, tolerance

    def __getitem__(self, name):
        for known, check in self.checks.items():
            if name in (known, str(Name.parse(known).d)):
                return check
        raise ValueError(f"no gradient {name!r} was checked; the names are {', '.join(self.checks)}")

    @property
    def ok(self):
        """Whether every entry that has a derivative agrees."""
        return all((check.undefined | (check.error <= self.tolerance)).all() for check in self.checks.values())

    @property
    def entries(self):
        """Every entry as a `Row`."""
        return [
            Row(entry(name, *index), *(field[index].item() for field in check))
            for name, check in self.checks.items()
            for index in np.ndindex(check.error.shape)
        ]

    def __str__(self):
        lines = []
        for name, check in self.checks.items():
            wrong = ~check.undefined & ~(check.error <= self.tolerance)
            worst = np.max(check.error, initial=0, where=~check.undefined)
            counts = f"{wrong.sum()} of {wrong.size} wrong, {check.undefined.sum()} undefined at a kink or tie"
            lines.append(f"{Name.parse(name).d}: {counts}, largest error {worst:.1e}")
        unchecked = [str(Name.parse(name).d) for name, check in self.checks.items() if check.undefined.all()]
        if unchecked:
            lines.append(f"nothing of {', '.join(unchecked)} was checked: move the input a little off the kinks and ties")
        return "\n".join([*lines, "ok" if self.ok else "NOT ok"])


def gradcheck(net, x, labels, *, loss="cross_entropy", rng=None, tolerance=1e-6):
    """Compare each gradient entry with how the loss changes when the entry is moved, in float64.

    x (N, C, H, W), labels (N,) or targets (N, K) -> Report

    Parameters
    ----------
    net, x, labels, loss, rng
        As for `trace`; the network is copied to float64, and dropout's mask held fixed.
    tolerance : float
        Relative, where the loss has a derivative.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        As for `trace`.

    Examples
    --------
    >>> import fastconv
    >>> rng = np.random.default_rng(0)
    >>> net = fastconv.tiny_net(3, random_state=0)
    >>> print(gradcheck(net, rng.normal(size=(2, 1, 5, 5)), [0, 2]).ok)
    True
    """
    double = Sequential(net.layers, net.input_shape, dtype="float64")
    double.load_state_dict(net.state_dict())
    x = np.array(x, np.float64)

    base = trace(double, x, labels, loss=loss, rng=copy.deepcopy(rng))
    criterion, noise = base.operations[-1], _noise(base)
    answers = labels if criterion.takes_labels else base["target"]

    def run():
        return _run(double, x, criterion, answers, copy.deepcopy(rng))

    checks = {}
    for name, array in {**double.params, "input": x}.items():
        analytic, numeric, undefined = base[Name.parse(name).d], np.empty(array.shape), np.empty(array.shape, bool)
        for index in np.ndindex(array.shape):
            losses, sides = zip(*_moved(array, index, run))
            numeric[index] = (8 * (losses[3] - losses[1]) - (losses[4] - losses[0])) / (12 * STEP)
            undefined[index] = any(side != sides[2] for side in sides)
        scale = np.maximum(np.maximum(abs(analytic), abs(numeric)), noise / tolerance)
        checks[name] = Check(analytic, numeric, abs(analytic - numeric) / scale, undefined)
    return Report(checks, tolerance)


def _moved(array, index, run):
    """What `run` gives with one entry moved by -2 to 2 steps."""
    middle = array[index]
    for steps in (-2, -1, 0, 1, 2):
        array[index] = middle + steps * STEP
        yield run()
    array[index] = middle


def _run(net, x, criterion, answers, rng):
    """-> the loss, and which side of every kink it stands on, as bytes"""
    steps = list(forward(net, x, rng))
    sides = [operation_of(step.layer).sides(step.layer, step.shape, step.x) for step in steps]
    return criterion.forward(steps[-1].y, answers)[0], b"".join(sides)


def _noise(base):
    """What the rounding of the loss alone may do to a numeric derivative."""
    largest = max(abs(base[base.operations[-1].x]).max(), abs(base["loss"]), 1)
    return UNITS * np.finfo(np.float64).eps * largest / STEP
