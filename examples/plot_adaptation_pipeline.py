"""
===============================================================
Adaptation in a pipeline: scikit-learn's, and that of skada
===============================================================

A classifier was trained on one instrument and is used on another, whose measurements
are shifted and stretched. No label is known there. The transformer brings new rows back
to where the classifier was trained.
"""

# %%
# Two instruments
# ---------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn import set_config
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skgmmot import GMMOTTransformer
from skgmmot.datasets import make_shifted_mixtures, stack_domains

data = make_shifted_mixtures(
    800, n_components=4, shift=7.0, separation=4.0, random_state=1
)
X, sample_domain = stack_domains(data.X_source, data.X_target)
plain = LogisticRegression(max_iter=1000).fit(data.X_source, data.labels_source)
scores = {
    "source rows, as trained": plain.score(data.X_source, data.labels_source),
    "target rows, no adaptation": plain.score(data.X_target, data.labels_target),
}

# %%
# In a pipeline of scikit-learn
# -----------------------------
# ``map_to="source"``: rows to be predicted come from the target and are moved to the
# source. The target rows take part in the fit of the mixtures; in that of the
# classifier they have weight 0, since their labels are not known.

y = np.concatenate((data.labels_source, np.zeros(len(data.X_target), dtype=int)))
pipeline = make_pipeline(
    GMMOTTransformer(map_to="source", random_state=0), LogisticRegression(max_iter=1000)
)
pipeline.fit(
    X,
    y,
    gmmottransformer__sample_domain=sample_domain,
    logisticregression__sample_weight=(sample_domain > 0).astype(float),
)
scores["target rows, scikit-learn"] = pipeline.score(data.X_target, data.labels_target)

# %%
# In a pipeline of skada
# ----------------------
# skada hands ``sample_domain`` to each step by itself and hides the labels of the
# target. Its pipelines move the source to the target and train there.

try:
    from skada import make_da_pipeline
except ImportError:
    print("skada is not installed: its part is left out")
else:
    labels = np.concatenate((data.labels_source, data.labels_target))
    adapted = make_da_pipeline(
        GMMOTTransformer(random_state=0), LogisticRegression(max_iter=1000)
    ).fit(X, labels, sample_domain=sample_domain)
    target_only = -np.ones(len(data.X_target))
    found = adapted.predict(data.X_target, sample_domain=target_only)
    set_config(enable_metadata_routing=False)  # importing skada switched it on
    scores["target rows, skada"] = np.mean(found == data.labels_target)

for name, score in scores.items():
    print(f"{name:28} {score:6.1%} right")

# %%
# What happened
# -------------

figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
moved = pipeline[0].transform(data.X_target)
panels = {
    "source, with labels": (data.X_source, data.labels_source),
    "target, as measured": (data.X_target, plain.predict(data.X_target)),
    "target, moved": (moved, pipeline.predict(data.X_target)),
}
colors = np.array(["#0072B2", "#E69F00", "#117733", "#CC79A7"])
low, high = X.min(axis=0) - 1, X.max(axis=0) + 1
for ax, (name, (rows, labels)) in zip(axes, panels.items(), strict=True):
    ax.scatter(*rows.T, s=8, c=colors[labels], linewidth=0)
    ax.set(title=name, xlim=(low[0], high[0]), ylim=(low[1], high[1]))
figure.suptitle("colours: label, or prediction")
plt.show()
