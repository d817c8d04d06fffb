"""
Digits in a pipeline
====================

A convolutional network is one more estimator: it goes where every other goes.
"""

# %%
# The digits are flat rows of 64 features; a square number of features is taken for a square image. Suppose that one pixel in
# fifty was lost: a transformer before the network fills the gaps.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import SimpleImputer
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline

from fastconv import ConvNetClassifier, FilterDisplay, TrainingCurveDisplay

X, y = load_digits(return_X_y=True)
holes = np.where(np.random.default_rng(0).random(X.shape) < 0.02, np.nan, X)
pipeline = make_pipeline(SimpleImputer(), ConvNetClassifier(random_state=0))
print(f"accuracy of five folds: {cross_val_score(pipeline, holes, y, cv=5).mean():.3f}")

# %%
# A validation set is measured after each epoch, and drawn by a display.
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = ConvNetClassifier(random_state=0).fit(X_train, y_train, X_val=X_test, y_val=y_test)
TrainingCurveDisplay.from_estimator(model, ax=plt.figure(layout="constrained").subplots())

# %%
# What the first convolution looks for:
FilterDisplay.from_estimator(model, ax=plt.figure().subplots())

# %%
# scikit-learn's own displays do the rest.
ConfusionMatrixDisplay.from_estimator(model, X_test, y_test, cmap="Blues", colorbar=False)
