"""
Training further with some layers frozen
========================================

A network that has learnt one task is taken for another: its convolutions stay as they are, a new head is trained. What is
frozen need not be run in every epoch: its output is computed once, and the head trains on that.
"""

# %%
# A first network learns the digits 0 to 4.
import fastconv
from fastconv import Adam, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

X, y = fastconv.load_digits()
low = y < 5
body = [Conv2d(16, 3, padding=1), ReLU(), Conv2d(32, 3, padding=1), ReLU(), MaxPool2d(2)]
first = Sequential([*body, Flatten(), Linear(5)], (1, 8, 8), random_state=0)
fastconv.train(first, X[low], y[low], epochs=10, batch_size=32, optimizer=Adam(), random_state=0)

# %%
# Its convolutions see the digits 5 to 9, of which the new head is shown only a hundred.
features = Sequential(body, (1, 8, 8))
features.load_state_dict({name: first.params[name] for name in features.params})
seen = features.predict(X[~low])
head = Sequential([Flatten(), Linear(5)], seen.shape[1:], random_state=0)
fastconv.train(head, seen[:100], y[~low][:100] - 5, epochs=30, batch_size=20, optimizer=Adam(), random_state=0)
print(f"digits 5 to 9, learnt from 100: {(head.predict(seen[100:]).argmax(1) == y[~low][100:] - 5).mean():.3f}")

# %%
# Joined, they are one network, which can be saved, or trained further as a whole with a small learning rate.
joined = Sequential([*body, Flatten(), Linear(5)], (1, 8, 8))
joined.load_state_dict(
    features.state_dict() | {f"{len(body) + 1}.{name[2:]}": value for name, value in head.state_dict().items()}
)
fastconv.train(joined, X[~low][:100], y[~low][:100] - 5, epochs=5, batch_size=20, optimizer=Adam(1e-4), random_state=0)
print(f"after five epochs as a whole: {(joined.predict(X[~low][100:]).argmax(1) == y[~low][100:] - 5).mean():.3f}")
