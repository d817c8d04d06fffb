"""The derivation in the documentation: its code runs, and its numbers are the library's."""

import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def by_hand():
    sys.path.insert(0, str(DOCS))
    try:
        import by_hand
    finally:
        sys.path.pop(0)
    return by_hand


def test_every_block_agrees_with_the_trace(by_hand):
    text = by_hand.render((DOCS / "backpropagation.md.in").read_text())
    assert "{{" not in text and text.count(r"\begin{bmatrix}") > 15 and text.count("assert") > 15


def test_a_wrong_number_stops_the_build(by_hand):
    text = (DOCS / "backpropagation.md.in").read_text()
    with pytest.raises(AssertionError):
        by_hand.render(text.replace("dr[place] += gradient", "dr[place] -= gradient"))
