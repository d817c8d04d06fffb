"""One layer's backward pass, made wrong on purpose.

Each function takes dy, the layer's input x, its cache and its `Window`, and by keyword which part is done in which wrong way;
it returns dx. `STEPS` finds it by the layer's type. `conv_weight` and `bias` are the parameters' own.
"""

import numpy as np

from ..layers import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU


def pool_windows(x, window):
    """What each window of a pool sees, -inf in the padding: x (N, C, H, W) -> (N, C, OH, OW, KH, KW)"""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    padded = np.pad(x, ((0, 0), (0, 0), (PT, PB), (PL, PR)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::SH, ::SW][:, :, :OH, :OW]


def _max_pool(dy, x, cache, window, tie="first", overlap="add", crop="right"):
    windows = pool_windows(x, window)
    N, C, OH, OW, KH, KW = windows.shape
    winners = (windows == windows.max(axis=(4, 5), keepdims=True)).reshape(N, C, OH, OW, KH * KW)
    if tie == "first":
        winners &= winners.cumsum(axis=-1) == 1
    if tie == "last":
        winners &= winners[..., ::-1].cumsum(axis=-1)[..., ::-1] == 1
    shares = winners / winners.sum(axis=-1, keepdims=True) if tie == "split" else winners.astype(np.float64)
    given = (shares * dy[..., None]).reshape(windows.shape)
    order, _, what = overlap.partition(" ")
    chosen = winners.reshape(windows.shape) if what == "winner" else np.ones(windows.shape, bool)
    return _cropped(_scatter_windows(given, chosen, window, order), window, crop)


def _avg_pool(dy, x, cache, window, overlap="add", crop="right"):
    # Every pixel of a window takes part, so assigning to the winner and to the window is one.
    given = np.broadcast_to((dy / cache.divisor)[..., None, None], (*dy.shape, window.KH, window.KW))
    order = overlap.partition(" ")[0]
    return _cropped(_scatter_windows(given, np.ones(given.shape, bool), window, order), window, crop)


def _scatter_windows(given, chosen, window, order):
    """Add, or assign where `chosen`, what each window gives: (N, C, OH, OW, KH, KW) -> the padded dx"""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    dx = np.zeros((*given.shape[:2], H + PT + PB, W + PL + PR))
    if order == "tap":
        for u, v in np.ndindex(KH, KW):
            pixels = dx[:, :, u : u + OH * SH : SH, v : v + OW * SW : SW]
            np.copyto(pixels, given[..., u, v], where=chosen[..., u, v])
        return dx
    for i, j in np.ndindex(OH, OW):
        patch = dx[:, :, i * SH : i * SH + KH, j * SW : j * SW + KW]
        if order == "add":
            patch += given[:, :, i, j]
        else:
            np.copyto(patch, given[:, :, i, j], where=chosen[:, :, i, j])
    return dx


def _cropped(padded, window, crop):
    """dx cut out of the padded one, at the right place or a wrong one"""
    top, left = {
        "right": (window.PT, window.PL), "start": (0, 0), "end": (window.PT + window.PB, window.PL + window.PR),
        "swapped": (window.PB, window.PR), "start rows": (0, window.PL), "start columns": (window.PT, 0),
    }[crop]  # fmt: skip
    return padded[:, :, top : top + window.H, left : left + window.W]


def _relu(dy, x, cache, window, mask):
    return dy if mask == "missing" else np.where(x >= 0, dy, 0.0)


def _conv(dy, x, cache, window, col2im="add", kernel="right", axes="right", stride="right", crop="right"):
    w = _turned(cache.w, kernel, axes)
    groups, (N, F, OH, OW) = cache.groups, dy.shape
    w = w.reshape(groups, F // groups, *w.shape[1:])
    dy = dy.reshape(N, groups, F // groups, OH, OW)
    order, _, filters = col2im.partition(" ")
    if filters == "last filter":
        w, dy = w[:, -1:], dy[:, :, -1:]
    if stride == "repeated":  # each entry of dy in the place of the zeros behind it, too
        dy = dy.repeat(window.SH, axis=3).repeat(window.SW, axis=4)
    patches = np.einsum("gfcuv,ngfij->ngcuvij", w, dy, optimize=True)
    patches = patches.reshape(N, -1, window.KH, window.KW, *dy.shape[3:])  # (N, C, KH, KW, OH, OW)
    more = {"right": None, "one": 1, "repeated": 1, "one more": window.SH + 1}[stride]
    if more is not None:
        across = window.SW + 1 if stride == "one more" else 1
        window = window._replace(SH=more, SW=across, OH=dy.shape[3], OW=dy.shape[4])
    return _cropped(_add_patches(patches, window, order), window, crop)


def _turned(w, kernel, axes):
    """The kernel as it is, reversed in some axes, or with two axes swapped"""
    w = {"right": w, "transposed": w.swapaxes(-1, -2), "channels": w.swapaxes(0, 1)}[axes]
    return {
        "right": w, "reversed": w[..., ::-1, ::-1], "rows": w[..., ::-1, :], "columns": w[..., ::-1],
        "filters": w[::-1, ::-1], "filters reversed": w[::-1, ::-1, ::-1, ::-1],
    }[kernel]  # fmt: skip


def _add_patches(patches, window, order):
    """col2im into the padded image, adding or assigning, patch by patch or tap by tap."""
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, OH, OW = window
    # A wrong stride may reach further than the image.
    rows, columns = (OH - 1) * SH + (KH - 1) * DH + 1, (OW - 1) * SW + (KW - 1) * DW + 1
    padded = np.zeros((*patches.shape[:2], max(H + PT + PB, rows), max(W + PL + PR, columns)))
    if order == "patch":
        for i, j in np.ndindex(OH, OW):
            rows, columns = slice(i * SH, i * SH + KH * DH, DH), slice(j * SW, j * SW + KW * DW, DW)
            # A slice's end may lie beyond the image, its last step never does.
            padded[:, :, rows, columns] = patches[..., i, j]
        return padded
    for u, v in np.ndindex(KH, KW):
        rows, columns = slice(u * DH, u * DH + OH * SH, SH), slice(v * DW, v * DW + OW * SW, SW)
        if order == "tap":
            padded[:, :, rows, columns] = patches[:, :, u, v]
        else:
            padded[:, :, rows, columns] += patches[:, :, u, v]
    return padded


def conv_weight(dy, cache, *, taps="right", dy_rotated=False):
    """dw of a convolution: x under dy, which "one" slides as if its stride were 1, in a frame that "swapped" puts on the wrong sides."""
    window, groups, (N, F, OH, OW) = cache.window, cache.groups, dy.shape
    H, W, KH, KW, SH, SW, DH, DW, PT, PB, PL, PR, *_ = window
    if taps == "one":
        SH = SW = 1
    if taps == "swapped":
        PT, PB, PL, PR = PB, PT, PR, PL
    dy = (dy[..., ::-1, ::-1] if dy_rotated else dy).reshape(N, groups, F // groups, OH, OW)
    padded = np.pad(cache.x, ((0, 0), (0, 0), (PT, PB), (PL, PR)))
    padded = padded.reshape(N, groups, -1, *padded.shape[2:])
    dw = np.empty((groups, F // groups, *cache.w.shape[1:]))
    for u, v in np.ndindex(KH, KW):
        patch = padded[..., u * DH :, v * DW :][..., : OH * SH : SH, : OW * SW : SW]
        dw[..., u, v] = np.einsum("ngfij,ngcij->gfc", dy, patch)
    return dw.reshape(cache.w.shape)


def flat_order(shape, how):
    """For each place of the flat axis the place that belongs there: shape (C, H, W) -> (C*H*W,)"""
    order, _, inverse = how.partition(", ")
    axes = {"channels last": (1, 2, 0), "column-major": (2, 1, 0), "planes": (0, 2, 1)}[order]
    places = np.arange(np.prod(shape, dtype=int)).reshape(shape).transpose(axes).ravel()
    return places.argsort() if inverse else places


def _flatten(dy, x, cache, window, order):
    dx = np.empty(dy.shape)
    dx[:, flat_order(x.shape[1:], order)] = dy
    return dx.reshape(x.shape)


def _linear(dy, x, cache, window, axes):
    return dy @ cache.w.T


def bias(dy, how):
    """A bias gradient that is not the sum: the first or last sample, or position, or one of both, or the mean"""
    if how == "mean":
        return dy.mean(axis=(0, *range(2, dy.ndim)))
    which, _, over = how.partition(" ")
    at = 0 if which == "first" else -1
    positions = dy.reshape(*dy.shape[:2], -1)  # (N, F, OH*OW)
    if over == "sample":
        return positions[at].sum(axis=1)
    return positions[..., at].sum(axis=0) if over == "position" else positions[at, :, at]


STEPS = {MaxPool2d: _max_pool, AvgPool2d: _avg_pool, ReLU: _relu, Conv2d: _conv, Flatten: _flatten, Linear: _linear}
