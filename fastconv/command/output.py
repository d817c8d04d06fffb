"""What the `fastconv` command prints, as lines or as JSON."""

import json
from math import isfinite


def printable(text):
    """`text` with control characters escaped: names come from files, and a terminal obeys what it is sent."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def print_found(found, as_json):
    """Print name -> value, a line each, or JSON; what is not finite is left out, and null in JSON."""
    found = {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in found.items()}
    if as_json:
        print(json.dumps(found, indent=1, allow_nan=False))
        return
    for name, value in found.items():
        if value is not None:
            print(f"{name:<14} {f'{value:.4f}' if isinstance(value, float) else printable(value)}")
