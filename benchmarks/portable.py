"""Prediction with NumPy alone beside PyTorch's forward pass: microseconds a call, and how many times longer NumPy takes."""

# ruff: noqa: E402
import sys

sys.modules["numba"] = None  # as where it is not installed

import timeit

import numpy as np
import torch
from cases import NETWORKS
from torch import nn


def module(layers, input_shape):
    """The same network in PyTorch."""
    made, channels, seen = [], input_shape[0], None
    for layer in layers:
        kind = type(layer).__name__
        if kind == "Conv2d":
            made.append(nn.Conv2d(channels, layer.out_channels, layer.kernel_size, padding=layer.padding))
            channels = layer.out_channels
        elif kind == "MaxPool2d":
            made.append(nn.MaxPool2d(layer.kernel_size))
        elif kind == "Linear":
            made.append(nn.LazyLinear(layer.out_features) if seen is None else nn.Linear(seen, layer.out_features))
            seen = layer.out_features
        else:
            made.append(getattr(nn, kind)())
    return nn.Sequential(*made)


def microseconds(call):
    """The best of ten rounds of about 50 ms."""
    call()
    timer = timeit.Timer(call)
    number = max(1, int(0.05 / max(timer.timeit(1), 1e-6)))
    return min(timer.repeat(10, number)) / number * 1e6


def main():
    print("network  batch  NumPy us  PyTorch us  NumPy / PyTorch  largest difference")
    for name, network in NETWORKS.items():
        net, torch_net = network.build(), module(network.layers, network.input_shape).eval()
        for batch in (1, 32, 128):
            x, _ = network.data(batch)
            tensor = torch.from_numpy(x)
            with torch.inference_mode():
                torch_net(tensor)
                net.load_state_dict(torch_net.state_dict())
                difference = np.abs(net.predict(x) - torch_net(tensor).numpy()).max()
                ours, theirs = microseconds(lambda: net.predict(x)), microseconds(lambda: torch_net(tensor))  # noqa: B023
            print(f"{name:7}  {batch:5}  {ours:8.0f}  {theirs:10.0f}  {ours / theirs:15.2f}  {difference:18.1e}", flush=True)


if __name__ == "__main__":
    main()
