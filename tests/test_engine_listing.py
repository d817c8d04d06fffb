"""The listing of a program: complete, and what the documentation shows of it."""

import random
import re
from pathlib import Path

import pytest
from drawn_networks import draw_network

from fastconv import AvgPool2d, Conv2d, Flatten, Linear, Sequential, tiny_net
from fastconv.engine import listing, words
from fastconv.engine.program.table import KINDS

DOCS = Path(__file__).parents[1] / "docs"
ENGINE = (DOCS / "engine.md").read_text()


def seen_taps(size, K, S, D, P, count):
    """Taps inside the image over all windows of one axis, one by one."""
    return sum(0 <= i * S - P + u * D < size for i in range(count) for u in range(K))


def test_the_forward_multiply_adds_are_those_of_the_taps_inside_the_image():
    rng, T = random.Random(0), 8
    for _ in range(40):
        layers, shape = draw_network(rng)
        net, expected = Sequential(layers, shape, random_state=0), 0
        for layer, before in zip(net.layers, net.shapes):
            if isinstance(layer, Conv2d):
                K = layer.window(before)
                rows, columns = seen_taps(K.H, K.KH, K.SH, K.DH, K.PT, K.OH), seen_taps(K.W, K.KW, K.SW, K.DW, K.PL, K.OW)
                expected += rows * columns * layer.out_channels * before[0] // layer.groups
            elif isinstance(layer, Linear):
                expected += layer.out_features * before[0]
        forward = listing(net, lanes=T).split("backward")[0].splitlines()[4:]
        found = sum(
            int(number.replace(",", "")) for row in forward for number in re.findall(r" (\d[\d,]*)  \S*(?:input|out)", row)
        )
        assert found == expected * T


def test_every_kind_of_line_has_a_kernel_or_a_loop():
    from fastconv.engine.machine.interpreter import KERNELS
    from fastconv.engine.machine.loops import LOOPS

    assert [*KERNELS, *LOOPS] == [*KINDS]


def test_every_kind_of_line_has_words():
    assert {*words._COUNTS} == {*KINDS} == {*words._COMPUTES, *words._PRODUCTS}


def test_places_have_the_names_of_the_derivation():
    net = Sequential([Conv2d(3, 2), AvgPool2d(2), Flatten(), Linear(4)], (2, 5, 5), random_state=0)
    for batch_size in (1, 32):
        text = listing(net, lanes=4, batch_size=batch_size)
        names = {"input", "0.weight", "0.bias", "0.out", "1.out", "3.weight", "3.bias", "3.out"}
        names |= {f"d {name}" for name in names - {"input"}}
        assert all(re.search(rf"(?<!d ){re.escape(name)}\b", text) for name in names), text
        assert "image" not in text and "dx " in text


def test_the_documentation_shows_the_program_of_today():
    shown = ENGINE.split("<!-- listing:begin -->\n```text\n")[1].split("\n```\n<!-- listing:end -->")[0]
    assert shown == listing(tiny_net(), lanes=8)


def test_what_the_documentation_shows_of_sources_stands_there():
    found = re.findall(r"in\s`(fastconv/\S+\.py)`(?:(?!\n\*\*).)*?```py\n(.*?)```", ENGINE, re.S)
    assert len(found) == 4
    for path, code in found:
        assert code.rstrip() in (DOCS.parent / path).read_text(), path


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_a_listing_needs_no_machine(lanes):
    assert listing(tiny_net(), lanes=lanes).startswith(f"{lanes} lanes, {lanes} samples a tile")
