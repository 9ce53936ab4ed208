"""
=================================
Digits from a scanner that leans
=================================

A classifier was trained on one instrument. The next one sees the same things a little
differently, and nobody wants to label its rows. Here the instruments are scanners: one
lays digits upright, the other turns them by twenty degrees and blurs them. The labels
of the second are used for nothing but judging.

Digits are those that scikit-learn ships, 8 x 8 pixels.
"""

# %%
# Two scanners
# ------------
# Each digit goes through one of the scanners, never through both. Pixels are reduced
# to 40 principal components of all images.

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter, rotate
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score

from skgmmot import GMMOTClassifier
from skgmmot.datasets import stack_domains

digits = load_digits()
upright, y_upright = digits.images[:1200:2], digits.target[:1200:2]
leaning, y_leaning = digits.images[1:1200:2], digits.target[1:1200:2]
leaning = rotate(leaning, -20.0, axes=(1, 2), reshape=False, order=1)
leaning = gaussian_filter(leaning, (0.0, 0.5, 0.5))

reduction = PCA(40, random_state=0)
reduction.fit(np.concatenate([upright, leaning]).reshape(1200, -1))
source, target = (
    reduction.transform(images.reshape(600, -1)) for images in (upright, leaning)
)

# %%
# What a classifier of the first scanner makes of the second
# ----------------------------------------------------------
# It is right for nearly all digits of its own scanner, and for far fewer of the other.


def discriminant():
    """The same classifier wherever one is needed."""
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


own = cross_val_score(discriminant(), source, y_upright).mean()
elsewhere = discriminant().fit(source, y_upright).score(target, y_leaning)
print(f"upright {own:.3f}, leaning {elsewhere:.3f}")
assert own > 0.85
assert elsewhere < own - 0.2

# %%
# Alignment, then classes that follow
# -----------------------------------
# ``align="linear"`` moves the source as a whole: means and covariances then agree. But
# turning is no linear map of the space of all digits that would be the same for each
# class. :class:`~skgmmot.GMMOTClassifier` begins with that map and lets each class
# follow the rows from there, held by a transport term. Labels of the target are not
# read; -1 stands for them.

X, sample_domain = stack_domains(source, target)
y = np.concatenate([y_upright, np.full(len(target), -1)])
model = GMMOTClassifier().fit(X, y, sample_domain=sample_domain)

linear, shift = model.alignment_
aligned = discriminant().fit(source @ linear.T + shift, y_upright)
scores = {
    "nothing": elsewhere,
    "linear map": aligned.score(target, y_leaning),
    "label-aware": model.score(target, y_leaning),
}
for name, score in scores.items():
    print(f"{name:12} {score:.3f}")
assert scores["label-aware"] > scores["linear map"] + 0.05
assert scores["linear map"] > scores["nothing"]

# %%
# Probabilities are to be trusted more, too: the loss of their logarithms is lower.

losses = [log_loss(y_leaning, m.predict_proba(target)) for m in (aligned, model)]
print(f"log-loss: linear map {losses[0]:.2f}, label-aware {losses[1]:.2f}")
assert losses[1] < losses[0]

# %%
# Any classifier can be trained on source rows that moved with their classes.

moved = model.transform(source, y_upright)
behind = LogisticRegression(max_iter=2000).fit(moved, y_upright)
print(f"logistic regression on moved rows {behind.score(target, y_leaning):.3f}")

# %%
# What the classes look like
# --------------------------
# Means of the classes, as images: upright, as the model sees them behind the second
# scanner, and as they are there by labels that the model did not have.

by_labels = np.array([target[y_leaning == c].mean(axis=0) for c in range(10)])
rows = {
    "source": model.source_.means_,
    "found": model.target_.means_,
    "true": by_labels,
}
gaps = {
    name: np.linalg.norm(means - by_labels, axis=1).mean()
    for name, means in rows.items()
}
print(f"distance to the true means: {gaps['source']:.1f}, found {gaps['found']:.1f}")
assert gaps["found"] < 0.6 * gaps["source"]

figure = plt.figure(figsize=(9, 3.4), layout="constrained")
grid = figure.add_gridspec(3, 14)
for i, (name, means) in enumerate(rows.items()):
    images = reduction.inverse_transform(means).reshape(10, 8, 8)
    for c in range(10):
        axes = figure.add_subplot(grid[i, c])
        axes.imshow(images[c], cmap="gray_r", vmin=0, vmax=16)
        axes.set_xticks([])
        axes.set_yticks([])
        if c == 0:
            axes.set_ylabel(name)
axes = figure.add_subplot(grid[:, 10:])
axes.bar(list(scores), list(scores.values()), color=["0.7", "0.5", "C0"])
axes.set_title("accuracy")
axes.set_ylim(0.0, 1.0)
axes.tick_params(axis="x", rotation=30)
here = Path(__file__).parent if "__file__" in globals() else Path()
picture = here / "drawn" / "label_aware_adaptation.png"
picture.parent.mkdir(exist_ok=True)
figure.savefig(picture, dpi=110)
print(f"picture: {picture.name}")

# %%
# When shares change
# ------------------
# Suppose that the second scanner sees few digits above 4. By default shares of the
# classes are rather kept; ``reg_m=1`` follows them further, at the risk that one class
# swallows another where alignment has not brought them apart.

few = np.flatnonzero((y_leaning < 5) | (np.arange(600) % 5 == 0))
X, sample_domain = stack_domains(source, target[few])
y = np.concatenate([y_upright, np.full(len(few), -1)])
for reg_m in (3.0, 1.0):
    follower = GMMOTClassifier(reg_m=reg_m).fit(X, y, sample_domain=sample_domain)
    share = follower.class_shares_[:5].sum()
    score = follower.score(target[few], y_leaning[few])
    print(f"reg_m={reg_m:.0f}: share of 0 to 4 {share:.2f}, accuracy {score:.3f}")
print(f"true share {np.mean(y_leaning[few] < 5):.2f}")
plt.close("all")
