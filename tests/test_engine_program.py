"""What programs are made of, against plain lists: where windows fall, what lies where, how products are cut for registers."""

import random
from collections import Counter
from itertools import count, product

import numpy as np
import pytest

from fastconv import Conv2d, Linear
from fastconv.engine.program import lines, rectangles
from fastconv.engine.program.lines import GRADS, PARAMS, WORK, Loop, Place, Product
from fastconv.engine.program.memory import Conv, Image, Regions, packed_order
from fastconv.engine.program.registers import for_weights, over_pixels, over_positions, product_sizes
from fastconv.engine.program.table import KIND, KINDS, OWNER, columns, line_of, table_of
from fastconv.support.geometry import conv_window

# Rectangles -----------------------------------------------------------------------------------------------------------


def numbers(span):
    return [*range(span.first, span.first + span.count)]


def axes(n):
    """n axes: size, K, S, D, P, count"""
    rng = random.Random(0)
    return [[rng.randint(*ends) for ends in ((1, 12), (1, 6), (1, 6), (1, 6), (0, 8), (1, 9))] for _ in range(n)]


def test_positions_are_the_outputs_whose_pixel_lies_in_the_image():
    for size, stride, shift, n in product(range(1, 7), range(1, 5), range(-9, 9), range(5)):
        assert numbers(rectangles.positions(size, shift, stride, n)) == [i for i in range(n) if 0 <= i * stride + shift < size]


def test_common_is_what_lies_in_both():
    spans = [rectangles.Span(*span) for span in product(range(5), range(5))]
    for a, b in product(spans, spans):
        assert numbers(rectangles.common(a, b)) == sorted({*numbers(a)} & {*numbers(b)})


def test_tap_runs_are_those_of_the_taps_one_by_one():
    for size, K, S, D, P, n in axes(3000):
        seen = {i: [u for u in range(K) if 0 <= i * S - P + u * D < size] for i in range(n)}
        runs = rectangles.tap_runs(size, K, S, D, P, n)
        assert [i for run in runs for i in numbers(run)] == [*range(n)]
        assert {i: [*range(run.tap, run.tap + run.taps)] for run in runs for i in numbers(run)} == seen
        assert all(a[2:] != b[2:] for a, b in zip(runs, runs[1:]))  # as few as can be


def test_source_runs_are_those_of_the_taps_one_by_one():
    for size, K, S, D, P, n in axes(3000):
        pairs = [(i, u, i * S - P + u * D) for i in range(n) for u in range(K)]
        onto = {y: sorted((i, u) for i, u, pixel in pairs if pixel == y) for y in range(size)}
        runs, gathered = rectangles.source_runs(size, K, S, D, P, n), []
        for run in runs:
            taps = [(run.output - t * run.output_step, run.tap + t * run.tap_step) for t in range(run.taps)]
            gathered += [(run.first + k * run.step, sorted((i + k, u) for i, u in taps)) for k in range(run.count)]
        assert sorted(gathered) == sorted(onto.items())


def test_a_part_of_a_run_is_some_of_its_outputs_or_pixels():
    run = rectangles.Run(3, 9, 1, 2)
    assert run.part(4, 2) == rectangles.Run(7, 2, 1, 2)
    source = rectangles.SourceRun(3, 9, 2, 5, 1, 2, 1, 1)
    assert source.part(4, 2) == rectangles.SourceRun(11, 2, 2, 9, 1, 2, 1, 1)  # the fifth pixel, reached by the fifth output


def test_parts_are_all_things_once_and_none_too_large():
    for n, most in product(range(50), range(1, 20)):
        spans = rectangles.even_parts(n, most)
        assert [i for span in spans for i in numbers(span)] == [*range(n)]
        assert len(spans) == -(-n // most) and max(map(len, map(numbers, spans)), default=0) <= most
        assert max((span.count for span in spans), default=0) - min((span.count for span in spans), default=0) <= 1
        for cut in (rectangles.full_and_rest, rectangles.equal_parts):
            parts = cut(n, most)
            assert all(part.count and 0 < part.size <= most for part in parts)
            starts = [(part.first + k * part.size, part.size) for part in parts for k in range(part.count)]
            assert [i + k for i, size in starts for k in range(size)] == [*range(n)]
        full = [part.size for part in rectangles.full_and_rest(n, most) for _ in range(part.count)]
        assert full == [most] * (n // most) + [n % most] * (n % most > 0)
        as_few = -(-n // most)
        if n and n % as_few == 0:
            assert rectangles.equal_parts(n, most) == [(0, as_few, n // as_few)]


def test_bands_are_the_runs_in_parts_of_limited_size():
    for size, K, S, D, P, n in axes(300):
        runs = rectangles.tap_runs(size, K, S, D, P, n)
        bands = rectangles.banded(runs, 10, 35)
        assert [(i, band[2:]) for band in bands for i in numbers(band)] == [(i, run[2:]) for run in runs for i in numbers(run)]
        assert max(band.count for band in bands) <= 3
        assert rectangles.banded(runs, 100, 35) == [run.part(k, 1) for run in runs for k in range(run.count)]


def test_chunks_are_all_positions_once_and_none_too_large():
    for H, W, most in product(range(1, 8), range(1, 12), range(1, 30, 4)):
        found = [[*product(numbers(rows), numbers(columns))] for rows, columns in rectangles.chunks(H, W, most)]
        assert sorted(position for chunk in found for position in chunk) == [*product(range(H), range(W))]
        assert max(map(len, found)) <= most


# Lines ----------------------------------------------------------------------------------------------------------------


def filled(kind, numbers):
    """A line whose fields are different numbers."""
    fields = kind.__annotations__.values()
    return kind(*(filled(field, numbers) if hasattr(field, "_fields") else next(numbers) for field in fields))


def read(row, columns):
    """The numbers of a row by the columns of its kind."""
    return type(columns)(*(read(row, column) if isinstance(column, tuple) else row[column] for column in columns))


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_holds_its_line(kind):
    line = filled(kind, count(100))
    (row,) = table_of([(7, line)])
    assert KINDS[row[KIND]] is kind and row[OWNER] == 7
    assert line_of(row) == line == read(row, columns(kind))


def test_a_place_and_a_product_move_by_what_is_said():
    assert Place(WORK, 5).moved(3) == Place(WORK, 8)
    line = Product(order=0, scalars=1, out=Place(GRADS, 1), x=Place(WORK, 2), w=Place(PARAMS, 3), bias=4, mask=5)
    places = {"out": Place(GRADS, 1001), "x": Place(WORK, 12), "w": Place(PARAMS, 103)}
    moved = Product(order=0, scalars=1, **places, bias=100004, mask=10005)
    assert line.moved(x=10, w=100, out=1000, mask=10000, bias=100000) == moved


# Memory ---------------------------------------------------------------------------------------------------------------


def test_regions_lie_one_after_the_other_and_begin_on_cache_lines():
    regions = Regions()
    assert regions.reserve(PARAMS, 0, {"weight": 20, "bias": 3}) == [0, 20]
    assert regions.reserve(PARAMS, 1, {"weight": 5}) == [32]  # the first of 16 that is free
    assert regions.reserve_work(0, "image", 16) == 0
    assert regions.reserve_work(0, "argmax", 1) == 16
    assert regions[PARAMS] == [(0, "weight", 0, 20), (0, "bias", 20, 3), (1, "weight", 32, 5)]
    assert regions[WORK] == [(0, "image", 0, 16), (0, "argmax", 16, 1)]
    assert regions.size(PARAMS) == 48 and regions.size(WORK) == 32


def test_an_image_is_stored_pixel_by_pixel_channel_by_channel():
    C, H, W, T, at = 3, 4, 5, 8, 100
    image, expected = Image(at, C, H, W, C * T, T), count(at, T)
    for y, x in product(range(H), range(W)):
        assert image.pixel(y, x) == image.pixel(y, x, 0)
        for c in range(C):
            place = next(expected)
            assert image.pixel(y, x, c) == place and image.place(y, x, c) == Place(WORK, place)
    assert image.size == next(expected) - at
    pixel = image.as_pixel
    assert (pixel.C, pixel.H, pixel.W, pixel.size) == (C * H * W, 1, 1, image.size)
    assert [pixel.pixel(0, 0, c) for c in range(pixel.C)] == [*range(at, at + image.size, T)]


WINDOW = conv_window(6, 7, (2, 3), 1, 0, 1)


@pytest.mark.parametrize("T", [4, 8, 16])
@pytest.mark.parametrize("groups, Cg, Fg", [(1, 1, 1), (1, 3, 9), (1, 2, 20), (2, 3, 5), (3, 2, 8), (3, 1, 17)])
def test_weights_of_a_convolution_are_packed_in_blocks_of_filters(groups, Cg, Fg, T):
    """[group][block of T filters][u][v][c][filter]"""
    KH, KW, F, at = 2, 3, groups * Fg, 64
    conv, weights = Conv(WINDOW, groups, groups * Cg, F, T, at, -1), np.arange(F * Cg * KH * KW).reshape(F, Cg, KH, KW)
    order = at + packed_order(Conv2d(F, (KH, KW), groups=groups), Image(0, groups * Cg, 6, 7, groups * Cg * T, T), conv)
    place, seen, n_blocks = count(at), 0, -(-Fg // T)
    for g, block, u, v, c in product(*map(range, (groups, n_blocks, KH, KW, Cg))):
        for k, here in zip(range(T), place):
            assert k or conv.tap(g, block, u, v, c) == here
            if block * T + k < Fg:
                assert order[weights[g * Fg + block * T + k, c, u, v]] == here
                seen += 1
    assert seen == len(order) == weights.size
    assert conv.blocks == [(g, block, min(T, Fg - block * T)) for g in range(groups) for block in range(n_blocks)]


@pytest.mark.parametrize("T", [4, 8, 16])
@pytest.mark.parametrize("C, H, W, F", [(1, 1, 1, 1), (3, 1, 1, 5), (1, 2, 3, 9), (3, 4, 2, 20)])
def test_weights_of_a_linear_layer_are_packed_as_its_image_is_stored(C, H, W, F, T):
    """[block of T filters][y][x][c][filter], of the numbers [f][c][y][x]"""
    conv, weights = (
        Conv(conv_window(1, 1, (1, 1), 1, 0, 1), 1, C * H * W, F, T, 0, -1),
        np.arange(F * C * H * W).reshape(F, C, H, W),
    )
    order, place, seen = packed_order(Linear(F), Image(0, C, H, W, C * T, T), conv), count(), 0
    for block, y, x, c in product(range(-(-F // T)), range(H), range(W), range(C)):
        for k, here in zip(range(T), place):
            if block * T + k < F:
                assert order[weights[block * T + k, c, y, x]] == here
                seen += 1
    assert seen == len(order) == weights.size


# Registers ------------------------------------------------------------------------------------------------------------


def sums(line, T):
    """Every sum of a product: where its row, its first scalar, its result, its mask and its bias lie."""
    between = {lines.ADJACENT: 1, lines.ROWS_APART: T, lines.STRIDED: line.stride}[line.order]
    apart = line.apart if line.order == lines.STRIDED else T
    for q, p, i, m in product(*map(range, (line.q.n, line.p.n, line.rows.n, line.scalars))):
        x, w, out, mask = (
            q * getattr(line.q, name) + p * getattr(line.p, name) + i * getattr(line.rows, name)
            for name in ("x", "w", "out", "mask")
        )
        bias = i * T if line.order == lines.STRIDED else m
        yield (
            line.x.at + x,
            line.w.at + w + m * between,
            line.out.at + out + m * apart,
            line.mask + mask + m * apart,
            line.bias + bias,
        )


def assert_pieces(pieces, expected, T):
    """All sums exactly once, by functions that there are."""
    assert Counter(found for piece in pieces for found in sums(piece, T)) == Counter(expected)
    assert {(piece.order, piece.scalars, piece.rows.n) for piece in pieces} <= {*product_sizes(T)}


@pytest.mark.parametrize("T", [4, 8, 16])
def test_products_have_room_in_registers(T):
    sizes = product_sizes(T)
    assert len({*sizes}) == len(sizes)
    assert all(scalars * rows <= T for _, scalars, rows in sizes)
    assert {order for order, *_ in sizes} == {lines.ADJACENT, lines.ROWS_APART, lines.STRIDED}


START = {"out": Place(WORK, 10**7), "x": Place(WORK, 1000), "w": Place(PARAMS, 0), "mask": 10**8, "bias": 10**9}


@pytest.mark.parametrize("T", [4, 8, 16])
@pytest.mark.parametrize("order", [lines.ADJACENT, lines.ROWS_APART])
def test_products_over_positions_are_cut_into_pieces(order, T):
    for scalars, n, across, w in product(range(1, T + 1), (1, 2, 5), (1, 2, 3, 4), (0, 7)):
        q, p = Loop(n, 10**3, 0, 10**5, 10**5), Loop(across, 31, w, 10**3, 10**3)
        line = Product(order=order, scalars=scalars, **START, q=q, p=p)
        assert_pieces(over_positions(line, T), sums(line, T), T)


@pytest.mark.parametrize("T", [4, 8, 16])
@pytest.mark.parametrize("order", [lines.ADJACENT, lines.ROWS_APART])
def test_products_for_weights_are_cut_into_pieces(order, T):
    apart, area, line = T if order == lines.ROWS_APART else 1, 10**4, Product(order=order, **START)
    for F, scalars in product((1, T, T + 1, 3 * T, 4 * T + 1), (*range(1, 2 * T + 3), 5 * T)):
        conv = Conv(conv_window(1, 1, (1, 1), 1, 0, 1), 1, scalars, F, T, 0, -1)
        expected = [
            (x + block * area, w + k * apart, out + block * conv.block + k * T)
            for block in range(conv.n_blocks) for k in range(scalars)
            for x, w, out in [(line.x.at, line.w.at, line.out.at)]
        ]  # fmt: skip
        pieces = for_weights(line, scalars, conv, area, apart)
        assert Counter(found[:3] for piece in pieces for found in sums(piece, T)) == Counter(expected)
        assert {(piece.order, piece.scalars, piece.rows.n) for piece in pieces} <= {*product_sizes(T)}


@pytest.mark.parametrize("T", [4, 8, 16])
def test_products_over_pixels_are_cut_into_pieces(T):
    line, block = Product(order=lines.STRIDED, **START), 10**4
    for height, width, blocks in product((1, 2, 7), (*range(1, T + 3), 3 * T), (1, 2, 3)):
        rows, columns = Loop(height, 0, 10**3, 10**5), Loop(width, 0, 7, 10**3)
        expected = []
        for k, i, j in product(range(blocks), range(height), range(width)):
            w, out = i * rows.w + j * columns.w, i * rows.out + j * columns.out + k * T
            expected.append((line.x.at + k * block, line.w.at + w, line.out.at + out, line.mask + out, line.bias + k * T))
        assert_pieces(over_pixels(line, rows, columns, blocks, block, T), expected, T)
