"""Time contenders in turns, so that whatever else the machine does hits all of them alike."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

BLOCK_SECONDS = 0.02
SETTLE_SECONDS = 0.025
"""Threads of OpenBLAS and OpenMP spin for some milliseconds after their last call: let them sleep before the next contender."""


def _nothing():
    pass


@dataclass
class Timed:
    """One contender: a call to time on so many images, and what makes the process ready for it, untimed."""

    name: str
    call: Callable
    images: int
    ready: Callable = _nothing
    seconds: list = field(default_factory=list)

    @property
    def median(self):
        """Microseconds a call."""
        return median(self.seconds) * 1e6

    @property
    def minimum(self):
        """Microseconds a call."""
        return min(self.seconds) * 1e6

    @property
    def per_image(self):
        """Median microseconds an image."""
        return self.median / self.images

    def as_json(self):
        """Every number, in microseconds a call."""
        rounds = [round(seconds * 1e6, 3) for seconds in self.seconds]
        return {"images": self.images, "minimum_us": self.minimum, "median_us": self.median, "rounds_us": rounds}


def measure(contenders, seconds):
    """Fill each contender's `seconds`, one number a round, in at least 3 rounds and about `seconds` in all."""
    repeats = [_repeats(contender) for contender in contenders]
    start, rounds = time.perf_counter(), 0
    while rounds < 3 or time.perf_counter() - start < seconds:
        for contender, count in zip(contenders, repeats):
            contender.seconds.append(_block(contender, count))
        rounds += 1


def best(contenders, prefix):
    """Of the contenders whose names begin with `prefix` the fastest by its median, or None."""
    found = [contender for contender in contenders if contender.name.startswith(prefix)]
    return min(found, key=lambda contender: contender.per_image, default=None)


def ratio(slow, fast):
    """How often `fast` fits into `slow`, image by image: the median over the rounds, in each of which they ran side by side."""
    images = fast.images / slow.images
    return median(a / b * images for a, b in zip(slow.seconds, fast.seconds))


def _repeats(contender):
    """How many calls fill a block."""
    return max(1, round(BLOCK_SECONDS / max(_block(contender, 1), 1e-7)))


def _block(contender, count):
    """Seconds a call over `count` calls in a row, after a first one, untimed unless it is as long as a block."""
    time.sleep(SETTLE_SECONDS)
    contender.ready()
    first = _seconds(contender.call, 1)
    return first if first > 10 * BLOCK_SECONDS else _seconds(contender.call, count)


def _seconds(call, count):
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count
