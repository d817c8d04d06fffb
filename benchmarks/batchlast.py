"""The plainest fast im2col there is: the batch as the last axis, NumPy and its matrix product. What does NCHW cost beside it?

Activations are (C, H, W, N) and (features, N), so no product ever needs a transpose and every slice is long. It knows what the networks
A to E need and no more: stride 1, pools of 2x2.
"""

import numpy as np

from fastconv import Conv2d, Flatten, Linear, MaxPool2d, ReLU


class BatchLast:
    """A training step of `network` with the batch last; the same `load`, `step`, `weights` as every contender."""

    def __init__(self, network, X, y, *, lr, momentum):
        self.layers, self.names = network.layers, list(network.build().params)
        self.X, self.y = np.ascontiguousarray(X.transpose(1, 2, 3, 0)), y
        self.lr, self.momentum = lr, momentum

    def load(self, weights):
        self.params = {name: value.copy() for name, value in weights.items()}
        self.velocity = {name: np.zeros_like(value) for name, value in weights.items()}

    def weights(self):
        return self.params

    def step(self):
        """One step on the whole batch; -> the loss before it."""
        y, caches = self.X, []
        for index, layer in enumerate(self.layers):
            y, cache = FORWARD[type(layer)](y, layer, self.params.get(f"{index}.weight"), self.params.get(f"{index}.bias"))
            caches.append(cache)
        loss, dy = _cross_entropy(y, self.y)
        for index in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[index]
            dy, *found = BACKWARD[type(layer)](dy, caches[index], self.params.get(f"{index}.weight"), index > 0)
            for name, gradient in zip(("weight", "bias"), found):
                self._update(f"{index}.{name}", gradient)
        return loss

    def _update(self, name, gradient):
        velocity = self.velocity[name]
        velocity *= self.momentum
        velocity += gradient
        self.params[name] -= self.lr * velocity


def _conv_forward(x, layer, w, b):
    C, H, W, N = x.shape
    KH, KW = w.shape[2:]
    p = layer.padding
    if p:
        padded = np.zeros((C, H + 2 * p, W + 2 * p, N), x.dtype)
        padded[:, p:-p, p:-p] = x
    else:
        padded = x
    OH, OW = H + 2 * p - KH + 1, W + 2 * p - KW + 1
    cols = np.empty((C, KH, KW, OH, OW, N), x.dtype)
    for u in range(KH):
        for v in range(KW):
            cols[:, u, v] = padded[:, u : u + OH, v : v + OW]
    y = w.reshape(len(w), -1) @ cols.reshape(C * KH * KW, -1)  # (F, OH*OW*N)
    y += b[:, None]
    return y.reshape(len(w), OH, OW, N), (cols, padded.shape, p)


def _conv_backward(dy, cache, w, need_dx):
    cols, padded_shape, p = cache
    C, KH, KW, OH, OW, N = cols.shape
    rows = dy.reshape(len(w), -1)
    dw = (rows @ cols.reshape(C * KH * KW, -1).T).reshape(w.shape)
    dx = None
    if need_dx:
        dcols = (w.reshape(len(w), -1).T @ rows).reshape(cols.shape)
        dx = np.zeros(padded_shape, dy.dtype)
        for u in range(KH):
            for v in range(KW):
                dx[:, u : u + OH, v : v + OW] += dcols[:, u, v]
        dx = np.ascontiguousarray(dx[:, p:-p, p:-p]) if p else dx
    return dx, dw, rows.sum(axis=1)


def _relu_forward(x, layer, w, b):
    return np.maximum(x, 0), x > 0


def _relu_backward(dy, is_open, w, need_dx):
    return (dy * is_open,)


def _pool_forward(x, layer, w, b):
    OH, OW = x.shape[1] // 2, x.shape[2] // 2
    corners = [x[:, u : 2 * OH : 2, v : 2 * OW : 2] for u in (0, 1) for v in (0, 1)]
    y = np.maximum(np.maximum(corners[0], corners[1]), np.maximum(corners[2], corners[3]))
    return y, (x.shape, corners, y)


def _pool_backward(dy, cache, w, need_dx):
    x_shape, corners, y = cache
    dx = np.zeros(x_shape, dy.dtype)
    is_free = np.ones(y.shape, bool)  # the first of equal maxima takes it all
    for (u, v), corner in zip(((0, 0), (0, 1), (1, 0), (1, 1)), corners):
        wins = (corner == y) & is_free
        is_free &= ~wins
        dx[:, u : 2 * y.shape[1] : 2, v : 2 * y.shape[2] : 2] = dy * wins
    return (dx,)


def _flatten_forward(x, layer, w, b):
    return x.reshape(-1, x.shape[-1]), x.shape


def _flatten_backward(dy, x_shape, w, need_dx):
    return (dy.reshape(x_shape),)


def _linear_forward(x, layer, w, b):
    return w @ x + b[:, None], x


def _linear_backward(dy, x, w, need_dx):
    return w.T @ dy, dy @ x.T, dy.sum(axis=1)


def _cross_entropy(logits, labels):
    """logits (K, N) -> loss, dlogits (K, N)"""
    columns = np.arange(len(labels))
    shifted = logits - logits.max(axis=0)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=0)
    loss = (np.log(sums) - shifted[labels, columns]).mean()
    dlogits = exponentials / sums
    dlogits[labels, columns] -= 1
    return float(loss), dlogits / logits.dtype.type(len(labels))


FORWARD = {
    **{Conv2d: _conv_forward, ReLU: _relu_forward, MaxPool2d: _pool_forward},
    **{Flatten: _flatten_forward, Linear: _linear_forward},
}
BACKWARD = {
    **{Conv2d: _conv_backward, ReLU: _relu_backward, MaxPool2d: _pool_backward},
    **{Flatten: _flatten_backward, Linear: _linear_backward},
}
