"""
Rare classes
============

Where one class is rare, a network may do well by never naming it. ``class_weight="balanced"`` makes its samples count for more.
"""

# %%
# Ten eights are left among more than a thousand other digits to train with.
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import train_test_split

from fastconv import ConvNetClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y == 8, stratify=y, random_state=0)
rare = np.flatnonzero(y_train)
kept = np.sort(np.r_[np.flatnonzero(~y_train), rare[:10]])

# %%
for class_weight in (None, "balanced"):
    model = ConvNetClassifier(class_weight=class_weight, max_iter=15, random_state=0).fit(X_train[kept], y_train[kept])
    found = model.predict(X_test)
    print(
        f"class_weight={class_weight}: {recall_score(y_test, found):.0%} of the eights are found, "
        f"balanced accuracy {balanced_accuracy_score(y_test, found):.3f}"
    )
