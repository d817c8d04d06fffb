"""
A grid search over architectures
================================

Layers are frozen descriptions with equality, so that lists of them are values of a parameter like any other.
"""

# %%
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from fastconv import Conv2d, ConvNetClassifier, MaxPool2d, ReLU

X, y = load_digits(return_X_y=True)
grid = {
    "layers": [
        [Conv2d(16, 3, padding=1), ReLU(), MaxPool2d(2)],
        [Conv2d(16, 3, padding=1), ReLU(), Conv2d(32, 3, padding=1), ReLU(), MaxPool2d(2)],
    ],
    "learning_rate_init": [1e-3, 3e-3],
}

# %%
# The search runs in processes, and finds what a serial one would, bit by bit.
search = GridSearchCV(ConvNetClassifier(max_iter=10, random_state=0), grid, cv=3, n_jobs=2).fit(X, y)
for score, parameters in zip(search.cv_results_["mean_test_score"], search.cv_results_["params"]):
    print(f"{score:.3f}  {len(parameters['layers'])} layers, learning rate {parameters['learning_rate_init']}")
