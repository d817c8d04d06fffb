"""How many examples a test tries: some in `make test`; all, with FASTCONV_EXAMPLES=full, in `make test-more`.

What once was wrong stands by name in the tests, so that it is tried in both.
"""

import os

IS_FULL = os.environ.get("FASTCONV_EXAMPLES") == "full"


def examples(some, full):
    """The one or the other: numbers, say."""
    return full if IS_FULL else some
