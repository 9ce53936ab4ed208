"""Samples of Gaussian mixtures, single ones and pairs that correspond."""

from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skgmmot._checks import check_integer, check_real, message, real_array


def make_mixture(
    n_samples: int = 1000,
    *,
    n_components: int = 5,
    n_features: int = 2,
    separation: float = 6.0,
    weights: Any = None,
    random_state: Any = None,
) -> Bunch:
    """Draw a sample of a Gaussian mixture with full covariances.

    In every direction the standard deviation of a component lies between 0.5
    and 1, and `separation` is the smallest distance between two means: at 6
    components hardly touch, at 2 they run into each other.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows n.
    n_components : int, default=5
        Number of components K.
    n_features : int, default=2
        Number of columns d.
    separation : float, default=6.0
        Smallest distance between two means, in units of the largest standard
        deviation that a component can have. At 0 all means are the origin.
    weights : array-like of shape (n_components,), default=None
        Shares of the components, above 0, with sum 1. None means equal shares.
    random_state : int, RandomState instance or None, default=None
        Source of the components and of the rows.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        With the attributes

        X : ndarray of shape (n_samples, n_features), dtype float64
            The sample.
        labels : ndarray of shape (n_samples,), dtype int64
            The component that each row was drawn from.
        mixture : tuple of (weights, means, covariances)
            The truth, a mixture-like of shapes (K,), (K, d) and (K, d, d).

    Raises
    ------
    ValueError
        If a count is below 1, `separation` is negative or `weights` are not
        the shares of `n_components` components.

    See Also
    --------
    make_shifted_mixtures : Two samples whose components correspond.
    make_spiral : A sample without true components.

    Examples
    --------
    >>> from skgmmot.datasets import make_mixture
    >>> data = make_mixture(500, n_components=3, n_features=4, random_state=0)
    >>> data.X.shape, data.labels.shape
    ((500, 4), (500,))
    >>> weights, means, covariances = data.mixture
    >>> weights.shape, means.shape, covariances.shape
    ((3,), (3, 4), (3, 4, 4))
    """
    check_integer(n_samples, "n_samples", 1)
    check_integer(n_components, "n_components", 1)
    check_integer(n_features, "n_features", 1)
    check_real(separation, "separation")
    weights = _check_shares("weights", weights, n_components)
    random_state = check_random_state(random_state)
    means = _separated_points(n_components, n_features, separation, random_state)
    covariances = _random_covariances(n_components, n_features, random_state)
    mixture = (weights, means, covariances)
    X, labels = _draw(n_samples, mixture, random_state)
    return Bunch(X=X, labels=labels, mixture=mixture)


def make_shifted_mixtures(
    n_samples: int | tuple[int, int] = 1000,
    *,
    n_components: int = 3,
    n_features: int = 2,
    separation: float = 6.0,
    shift: float = 3.0,
    weights: Any = None,
    growth: Any = None,
    random_state: Any = None,
) -> Bunch:
    r"""Draw two samples whose mixture components correspond one to one.

    Component k of the target is component k of the source moved by
    :math:`v + e_k` and scaled by :math:`s_k` about its mean, where v is common
    to all components and has length `shift`. The moves :math:`e_k` and the
    scales stay so small beside `separation` that, as long as no component
    grows, ``coupling`` is the optimal plan of the MW2 distance whatever v is.

    Parameters
    ----------
    n_samples : int or tuple of (int, int), default=1000
        Number of rows of the source and of the target.
    n_components : int, default=3
        Number of components K of each mixture.
    n_features : int, default=2
        Number of columns d.
    separation : float, default=6.0
        Smallest distance between two source means, as in :func:`make_mixture`.
        Above 0.
    shift : float, default=3.0
        Length of the move v that all components make.
    weights : array-like of shape (n_components,), default=None
        Shares of the source components, above 0, with sum 1. None means equal
        shares.
    growth : array-like of shape (n_components,), default=None
        Factors, at least 0, by which the components grow from source to
        target; the target's shares are in proportion to weights * growth. 0
        lets a component vanish: it keeps its place in the target's record with
        share 0. None: nothing grows.
    random_state : int, RandomState instance or None, default=None
        Source of the components, of their moves and of the rows.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        With the attributes

        X_source, X_target : ndarray of shape (n, n_features), dtype float64
            The two samples.
        labels_source, labels_target : ndarray of shape (n,), dtype int64
            The component that each row was drawn from.
        source, target : tuple of (weights, means, covariances)
            The truth, mixture-likes of shapes (K,), (K, d) and (K, d, d).
        coupling : ndarray of shape (n_components, n_components)
            diag(source weights): where each source component went.
        reweighting : ndarray of shape (n_components,)
            Target share over source share: what each component grew by.

    Raises
    ------
    ValueError
        If a count is below 1, `separation` is not above 0, `shift` is
        negative, `weights` are not shares or `growth` leaves nothing.

    See Also
    --------
    make_mixture : One sample of a mixture.
    stack_domains : The two samples as one, with a domain label for each row.

    Notes
    -----
    With smallest distance D between the source means, :math:`|e_k| \le D / 4`
    and :math:`|s_k - 1| \le \min(1/4, D / (2 \sqrt d))`. The cost of staying
    with one's own component, :math:`|e_k|^2 + (s_k - 1)^2 \mathrm{tr} \Sigma_k`
    but for the terms in v, which add up to the same for each permutation, is
    then at most :math:`5 D^2 / 16`, and that of any other at least
    :math:`9 D^2 / 16`.

    Examples
    --------
    >>> from skgmmot.datasets import make_shifted_mixtures
    >>> data = make_shifted_mixtures((300, 200), growth=[1, 1, 2], random_state=0)
    >>> data.X_source.shape, data.X_target.shape
    ((300, 2), (200, 2))
    >>> data.reweighting
    array([0.75, 0.75, 1.5 ])
    """
    n_source, n_target = _check_two_counts("n_samples", n_samples)
    check_integer(n_components, "n_components", 1)
    check_integer(n_features, "n_features", 1)
    check_real(shift, "shift")
    check_real(separation, "separation")
    if separation == 0:
        mend = "components with equal means cannot be told apart"
        raise ValueError(message("separation", "a number above 0", separation, mend))
    weights = _check_shares("weights", weights, n_components)
    target_weights = _grown_shares(weights, growth)
    random_state = check_random_state(random_state)
    means = _separated_points(n_components, n_features, separation, random_state)
    covariances = _random_covariances(n_components, n_features, random_state)
    source = (weights, means, covariances)

    common = shift * _random_directions(1, n_features, random_state)
    lengths = random_state.uniform(0.0, separation / 4.0, size=(n_components, 1))
    own = lengths * _random_directions(n_components, n_features, random_state)
    reach = min(0.25, separation / (2.0 * np.sqrt(n_features)))
    scales = 1.0 + random_state.uniform(-reach, reach, size=(n_components, 1, 1))
    target = (target_weights, means + common + own, scales**2 * covariances)

    X_source, labels_source = _draw(n_source, source, random_state)
    X_target, labels_target = _draw(n_target, target, random_state)
    return Bunch(
        X_source=X_source,
        X_target=X_target,
        labels_source=labels_source,
        labels_target=labels_target,
        source=source,
        target=target,
        coupling=np.diag(weights),
        reweighting=target_weights / weights,
    )


def _separated_points(
    n_points: int, n_features: int, distance: float, random_state: Any
) -> np.ndarray:
    """Random points whose smallest distance from each other is `distance`.

    Each point is the best of ten candidates, the one farthest from those that
    are there already: independent draws would leave one pair close together
    and, once that pair is at `distance`, all others far apart.
    """
    points = random_state.standard_normal((1, n_features))
    closest = np.inf
    for _ in range(n_points - 1):
        candidates = random_state.standard_normal((10, n_features))
        gaps = np.linalg.norm(candidates[:, None] - points, axis=2).min(axis=1)
        best = gaps.argmax()
        closest = min(closest, gaps[best])
        points = np.vstack((points, candidates[best]))
    return points * (distance / closest if n_points > 1 else 0.0)


def _random_covariances(
    n_components: int, n_features: int, random_state: Any
) -> np.ndarray:
    """Covariances with random axes and standard deviations from 0.5 to 1."""
    axes, _ = np.linalg.qr(
        random_state.standard_normal((n_components, n_features, n_features))
    )
    deviations = random_state.uniform(0.5, 1.0, size=(n_components, 1, n_features))
    factors = axes * deviations
    return factors @ factors.transpose(0, 2, 1)


def _random_directions(
    n_directions: int, n_features: int, random_state: Any
) -> np.ndarray:
    """Unit vectors, uniform on the sphere."""
    normal = random_state.standard_normal((n_directions, n_features))
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _draw(
    n_samples: int,
    mixture: tuple[np.ndarray, np.ndarray, np.ndarray],
    random_state: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a mixture, in random order, and their components."""
    weights, means, covariances = mixture
    labels = random_state.choice(len(weights), size=n_samples, p=weights)
    normal = random_state.standard_normal((n_samples, means.shape[1]))
    factors = np.linalg.cholesky(covariances)
    rows = means[labels] + np.einsum("nij,nj->ni", factors[labels], normal)
    return rows, labels.astype(np.int64)


def _grown_shares(weights: np.ndarray, growth: Any) -> np.ndarray:
    """Shares after each component grew by its factor."""
    if growth is None:
        return weights
    growth = real_array(growth, "growth")
    wrong = not np.all((growth >= 0) & (growth < np.inf)) or not growth.any()
    if growth.shape != weights.shape or wrong:
        expected = (
            f"{len(weights)} factors, one for each component, none negative and at "
            "least one above 0"
        )
        raise ValueError(message("growth", expected, growth.tolist()))
    grown = weights * growth
    return grown / grown.sum()


def _check_shares(name: str, shares: Any, n_components: int) -> np.ndarray:
    """Positive shares with sum 1; None gives equal ones."""
    if shares is None:
        return np.full(n_components, 1.0 / n_components)
    shares = real_array(shares, name)
    if (
        shares.shape != (n_components,)
        or not np.all(shares > 0)
        or abs(shares.sum() - 1.0) > 1e-6
    ):
        expected = (
            f"{n_components} shares, one for each component, all above 0 and with sum 1"
        )
        mend = "divide them by their sum"
        raise ValueError(message(name, expected, shares.tolist(), mend))
    return shares / shares.sum()


def _check_two_counts(name: str, value: Any) -> tuple[int, int]:
    """One count for both domains, or one for each."""
    counts = value if isinstance(value, tuple) else (value, value)
    if len(counts) != 2:
        raise ValueError(message(name, "an integer or two of them", repr(value)))
    for count in counts:
        check_integer(count, name, 1)
    return counts
