"""
From PyTorch and back
=====================

Names and layouts are PyTorch's, so that weights go both ways.
"""

# %%
import numpy as np
import torch
from torch import nn

import fastconv
from fastconv import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

module = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10))
net = Sequential([Conv2d(8, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(10)], input_shape=(1, 8, 8))

# %%
# From PyTorch: the state dict.
net.load_state_dict(module.state_dict())
X, y = fastconv.load_digits()
with torch.no_grad():
    difference = np.abs(net.predict(X) - module(torch.from_numpy(X)).numpy()).max()
print(f"largest difference of the logits: {difference:.1e}")

# %%
# Train here, and go back: the state dict again, or the file that ``net.save`` writes, which is plain safetensors.
fastconv.train(net, X, y, epochs=5, batch_size=32, optimizer=fastconv.Adam(), random_state=0)
module.load_state_dict({name: torch.from_numpy(value) for name, value in net.state_dict().items()})
with torch.no_grad():
    accuracy = (module(torch.from_numpy(X)).argmax(1).numpy() == y).mean()
print(f"training accuracy in PyTorch: {accuracy:.3f}")
