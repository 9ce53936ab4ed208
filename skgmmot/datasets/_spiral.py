"""A sample that no number of Gaussians describes exactly."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skgmmot._checks import check_integer, check_real


def make_spiral(
    n_samples: int = 10000, *, noise: float = 0.02, random_state: Any = None
) -> np.ndarray:
    r"""Draw points along a spiral in the unit square.

    The problem on which sparse weights are tried: no number of Gaussians is
    the true one, and a handful describe it well. Point i is

    .. math::

        x_i = \bigl(\tfrac12 + \tfrac25 \tfrac{t_i}{7} \cos t_i,\;
        \tfrac12 + \tfrac{3}{10} \sin t_i\bigr) + \sigma \varepsilon_i,
        \qquad t_i = 2 \pi i / n,

    with standard normal :math:`\varepsilon_i`. Rows are in the order of t.

    Parameters
    ----------
    n_samples : int, default=10000
        Number of points n.
    noise : float, default=0.02
        Standard deviation :math:`\sigma` of the noise on both coordinates.
    random_state : int, RandomState instance or None, default=None
        Source of the noise. An int gives the same points at each call.

    Returns
    -------
    ndarray of shape (n_samples, 2), dtype float64
        The points.

    Raises
    ------
    ValueError
        If `n_samples` is below 1 or `noise` is negative.

    See Also
    --------
    make_mixture : A sample of a mixture with known components.

    References
    ----------
    J. Feydy, J. Glaunès, B. Charlier, M. Bronstein, "Fast geometric learning
    with symbolic matrices", NeurIPS 2020; the spiral is that of the KeOps
    tutorial "Fitting a Gaussian Mixture Model".

    Examples
    --------
    >>> from skgmmot.datasets import make_spiral
    >>> make_spiral(4, noise=0.0).round(2)
    array([[0.5 , 0.5 ],
           [0.5 , 0.8 ],
           [0.32, 0.5 ],
           [0.5 , 0.2 ]])
    """
    check_integer(n_samples, "n_samples", 1)
    check_real(noise, "noise")
    random_state = check_random_state(random_state)
    t = np.linspace(0.0, 2.0 * np.pi, n_samples, endpoint=False)
    X = np.column_stack((0.5 + 0.4 * (t / 7.0) * np.cos(t), 0.5 + 0.3 * np.sin(t)))
    return X + noise * random_state.standard_normal(X.shape)
