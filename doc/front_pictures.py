"""Draw the pictures of the front page again: python doc/front_pictures.py."""

from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from PIL import Image

from skgmmot import (
    CoupledGaussianMixture,
    CouplingDisplay,
    MixtureDisplay,
    SparseGaussianMixture,
)
from skgmmot.datasets import make_mixture, make_shifted_mixtures, stack_domains

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "doc" / "_static"
SIZE = (4.2, 3.0)


def save(ax: Any, name: str) -> None:
    """Write a picture without axes."""
    ax.set_axis_off()
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()
    ax.figure.savefig(FOLDER / name, dpi=110)


def main() -> None:
    """Draw all of them."""
    FOLDER.mkdir(exist_ok=True)
    X = make_mixture(900, n_components=5, separation=4.0, random_state=8).X
    mixture = SparseGaussianMixture(12, random_state=0).fit(X)
    _, ax = plt.subplots(figsize=SIZE, layout="constrained")
    save(MixtureDisplay.from_estimator(mixture, X, ax=ax).ax_, "front_mixture.png")

    data = make_shifted_mixtures(
        600, n_components=4, growth=[1, 1, 1, 3], shift=4.0, random_state=2
    )
    X, sample_domain = stack_domains(data.X_source, data.X_target)
    coupled = CoupledGaussianMixture(4, reg_m=1.0, random_state=0)
    coupled.fit(X, sample_domain=sample_domain)
    _, ax = plt.subplots(figsize=SIZE, layout="constrained")
    for sign, color in ((1, "0.75"), (-1, "0.45")):
        ax.scatter(*X[sample_domain == sign].T, s=3, color=color, linewidth=0)
    display = CouplingDisplay.from_estimator(coupled, kind="arcs", ax=ax)
    save(display.ax_, "front_coupled.png")

    colours = Image.open(ROOT / "examples" / "color_transfer.jpg")
    width, height = colours.size
    # The photograph and its other colours, without their titles, side by side.
    top, bottom = int(height * 0.045), int(height * 0.49)
    wide = int((bottom - top) * SIZE[0] / SIZE[1] / 2)
    pair = Image.new("RGB", (2 * wide, bottom - top), "white")
    for place, left in enumerate((0.08, 0.08 + 1 / 3)):
        start = int(width * left)
        half = colours.crop((start, top, start + wide - 2, bottom))
        pair.paste(half, (place * (wide + 2), 0))
    pair.save(FOLDER / "front_colors.jpg", quality=88)


if __name__ == "__main__":
    main()
