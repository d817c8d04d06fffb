"""
Where a gradient's number comes from
====================================

Trace a training step, ask for the terms of any number, check every entry, and have a wrong gradient diagnosed.
"""

# %%
# A network in whole numbers, as one would choose them on paper.
import matplotlib.pyplot as plt
import numpy as np

from fastconv import explain

net, x, labels = explain.integer_example()
trace = explain.trace(net, x, labels)
print(trace.why("d input[0,0,2,1]"))

# %%
# The gradient to the image, beside the image:
figure, axes = plt.subplots(1, 2, layout="constrained")
for ax, name in zip(axes, ("input", "d input")):
    ax.imshow(trace[name][0, 0], cmap="RdBu_r", vmin=-1, vmax=1)
    ax.set(title=name, xticks=[], yticks=[])

# %%
# Someone's backward pass forgot that patches overlap: ``=`` where ``+=`` belongs.
dx = np.zeros(x.shape)
for i, j in np.ndindex(4, 4):
    dx[:, :, i : i + 2, j : j + 2] = net.params["0.weight"][0] * trace["d 0.out"][:, :, i : i + 1, j : j + 1]
print(explain.diagnose(dx, trace, "input"))

# %%
# Finite differences agree with the right one, a little off the kinks that whole numbers sit on.
moved = x + 0.01 * np.random.default_rng(0).normal(size=x.shape)
print(explain.gradcheck(net, moved, labels))
