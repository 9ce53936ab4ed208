"""
=====================================
A mixture that flows towards another
=====================================

A Gaussian mixture of three components is to become one of two, by going down the
squared distance MW2 between them. The distance is differentiable in all that a mixture
is made of, and its derivatives have a closed form, so that no automatic
differentiation is needed. How one goes down is a matter of taste: with an optimiser
made for neural networks, or along the geometry of the mixtures themselves. This example
does both, on the same problem.
"""

# %%
# Two mixtures
# ------------
# They come from the example *GMM Flow* of the library POT, by Eloi Tanguy, Rémi Flamary
# and Julie Delon. The weights of the source are 0.33, 0.23 and 0.44.

from pathlib import Path
from time import perf_counter

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import MixtureDisplay
from skgmmot.transport import Mixture, mw2_flow, mw2_gradient

logits = np.array([0.35046, 0.0, 0.64954])
source = Mixture(
    np.exp(logits) / np.exp(logits).sum(),
    np.array([[0.80328, 0.17483], [0.08898, -0.61372], [0.04618, -1.36826]]),
    np.array(
        [
            [[1.90497, -0.08129], [-0.08129, 0.93697]],
            [[0.28212, 0.32323], [0.32323, 1.62357]],
            [[0.37221, -0.16169], [-0.16169, 1.68134]],
        ]
    ),
)
target = Mixture(
    np.array([0.5, 0.5]),
    np.array([[0.33750, 1.01112], [-1.43518, 0.97743]]),
    np.array(
        [
            [[0.71613, -0.25691], [-0.25691, 0.27686]],
            [[1.78677, 1.38131], [1.38131, 2.60158]],
        ]
    ),
)

# %%
# The flow
# --------
# Means move along their displacement, covariances along the geodesics of the
# Bures-Wasserstein geometry, which never leave the positive definite matrices, and
# weights by mirror descent. The loss never rises.

mw2_flow(source, target, n_steps=1)  # the first call loads the solver
start = perf_counter()
path = mw2_flow(source, target, n_steps=100)
seconds = perf_counter() - start
print(f"flow: loss from {path.losses[0]:.5f} to {path.losses[-1]:.2g}")
print(f"      {1000 * seconds:.0f} ms for {len(path.losses) - 1} steps")
print(f"      weights at the end: {path.mixtures[-1].weights.round(3)}")

# %%
# Two components of the source end on one target, and their weights sum to that of the
# target. The loss is piecewise linear in the weights with its minimum at a kink: the
# flow goes on along it.
#
# The same by Adam
# ----------------
# An optimiser that knows nothing of mixtures needs parameters without constraints:
# logits for the weights, and covariances that are projected after each step. These are
# ten lines on :func:`~skgmmot.transport.mw2_gradient`, with the learning rates of the
# original: 0.06 for the means, 0.03 for the rest.

rates = [0.03, 0.06, 0.03]
state = [logits.copy(), source.means.copy(), source.covariances.copy()]
first, second = ([np.zeros_like(part) for part in state] for _ in range(2))
adam_losses, adam_mixtures = [], [source]
for step in range(1, 101):
    loss, gradient = mw2_gradient(adam_mixtures[-1], target)
    weights = adam_mixtures[-1].weights
    slopes = [weights * (gradient.weights - weights @ gradient.weights), *gradient[1:]]
    for i, slope in enumerate(slopes):
        first[i] = 0.9 * first[i] + 0.1 * slope
        second[i] = 0.999 * second[i] + 0.001 * slope**2
        scale = np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8
        state[i] -= rates[i] * first[i] / (1 - 0.9**step) / scale
    values, vectors = np.linalg.eigh(state[2])
    state[2] = vectors * np.maximum(values, 1e-6)[:, None] @ vectors.swapaxes(1, 2)
    weights = np.exp(state[0]) / np.exp(state[0]).sum()
    adam_losses.append(loss)
    adam_mixtures.append(Mixture(weights, state[1].copy(), state[2].copy()))
print(f"Adam: loss from {adam_losses[0]:.5f} to {adam_losses[-1]:.2g}")

# %%
# The pictures
# ------------
# Losses, where both paths end, and the first steps of the flow from dark to bright: the
# later ones hardly move. An ellipse is half a standard deviation.


def draw(ax, mixture, color, label=None, alpha=None):
    """Means and ellipses of a mixture in one colour."""
    style = {} if alpha is None else {"facecolor": "none", "alpha": alpha}
    MixtureDisplay.from_estimator(
        mixture, ax=ax, n_std=0.5, colors=[color], labels=False, ellipse_kwargs=style
    )
    ax.scatter(*mixture.means.T, s=14, color=color, alpha=alpha, label=label, zorder=3)


figure, axes = plt.subplots(1, 4, figsize=(18, 4.6), layout="constrained")
axes[0].semilogy(path.losses, label="flow")
axes[0].semilogy(adam_losses, label="Adam")
axes[0].set(title="losses", xlabel="step", ylabel="MW2²")
axes[0].legend()

for ax, title, last in (
    (axes[1], "flow, last step", path.mixtures[-1]),
    (axes[2], "Adam, last step", adam_mixtures[-1]),
):
    draw(ax, source, "C0", "source")
    draw(ax, target, "C1", "target")
    draw(ax, last, "C2", "last step", alpha=1)
    ax.set_title(title)
axes[1].legend(loc="lower left")

shades = plt.cm.ScalarMappable(plt.Normalize(0, 45), "plasma")
for step in range(0, 41, 2):
    draw(axes[3], path.mixtures[step], shades.to_rgba(step), alpha=0.8)
figure.colorbar(shades, ax=axes[3], label="step", shrink=0.8)
axes[3].set_title("flow, every other step")
for ax in axes[1:]:
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xlabel="", ylabel="")

here = Path(__file__).parent if "__file__" in globals() else Path()
picture = here / "drawn" / "gmm_flow.png"
picture.parent.mkdir(exist_ok=True)
figure.savefig(picture, dpi=80)
print(f"picture: {picture.name}")
