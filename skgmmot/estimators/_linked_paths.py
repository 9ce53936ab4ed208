"""What linked mixtures say between their samples: mixtures at any time, moved rows."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks import blocks_of
from skgmmot._blocks._row_arrays import as_floats, copied, in_type_of
from skgmmot._checks import check_choice, check_real, is_real, message
from skgmmot.estimators._by_parts import by_parts, like_rows
from skgmmot.estimators._holdout import METRICS, holdout_score, mean_log_likelihood
from skgmmot.estimators._linked_base import LinkedPredictions
from skgmmot.estimators._transfer import Transfer, maps_of
from skgmmot.estimators._validation import check_rows
from skgmmot.linalg._mixture import Mixture, as_mixture
from skgmmot.linalg._shrinkage import Affine
from skgmmot.transport._component_maps import MixtureMap
from skgmmot.transport._frame import Frame
from skgmmot.transport._framed_interpolation import framed_interpolation
from skgmmot.transport._map import check_movable, checked_method

_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_TRIED = 21  # times of a link that are tried before the best is refined
_REFINED = 20


def _check_way(estimator: Any, given: dict[str, Any]) -> None:
    """Refuse a method or ends that `move` would."""
    checked_method(given.get("method", "barycentric"))
    ends = [estimator._place(given[name], name) for name in ("source", "target")]
    estimator._way(*ends)


def _check_has_link(estimator: Any, given: dict[str, Any]) -> None:
    """Refuse a sample without a link."""
    place = estimator._place(given["domain"], "domain")
    if not any(place in (link.first, link.second) for link in estimator._links):
        expected = "a sample with a link"
        raise ValueError(message("domain", expected, repr(given["domain"])))


class LinkedPaths(LinkedPredictions):
    """Methods of an estimator with alignments_ and cost_scales_ of its links, too."""

    links_: list[tuple[Any, Any]]
    costs_: list[np.ndarray]
    alignments_: list[Affine]
    cost_scales_: list[np.ndarray]
    _masses: list[float]  # rows behind the mixtures; infinite where they are frozen
    _plan: Any

    # Pieces

    def _frame(self, link: int) -> Frame:
        return Frame(self.alignments_[link], self.cost_scales_[link])

    def _ends(self, link: int) -> tuple[Mixture, Mixture]:
        ends = self._links[link]
        return as_mixture(self.mixtures_[ends.first]), as_mixture(
            self.mixtures_[ends.second]
        )

    def _link_map(
        self, link: int, forward: bool, coupling: np.ndarray | None = None
    ) -> MixtureMap:
        """The maps of a link in one of its directions; of another coupling."""
        ends = self._links[link]
        plan = self._plan(link)
        if coupling is not None:
            plan = plan._replace(coupling=coupling)
        transfer = Transfer(
            self.mixtures_[ends.first],
            self.mixtures_[ends.second],
            plan,
            self._frame(link),
            (self._masses[ends.first], self._masses[ends.second]),
        )
        there, back = maps_of(transfer, None)
        return there if forward else back

    def _link_at(self, t: float) -> tuple[int, float]:
        """The shortest link that spans a time, and where on it the time is."""
        best: tuple[float, int, float] | None = None
        for i, (first, second) in enumerate(self.links_):
            if not (is_time(first) and is_time(second)):
                continue
            part = (t - float(first)) / (float(second) - float(first))
            length = abs(float(second) - float(first))
            if 0.0 <= part <= 1.0 and (best is None or length < best[0]):
                best = length, i, part
        if best is None:
            labels: list[Any] = list(self.domains_)
            times = [label for label in labels if is_time(label)]
            expected = "a time between two linked samples whose labels are numbers"
            if times:
                expected = (
                    f"a time from {min(times)} to {max(times)}, between two links"
                )
            raise ValueError(message("t", expected, t))
        return best[1], best[2]

    # What users call

    def interpolate(self, t: float, *, max_growth: float = 1.5) -> Mixture:
        """Mixture at any time, along the coupling of the link that spans it.

        Pairs of components move along Wasserstein geodesics in the units of the costs,
        the domain as a whole along its alignment. Where the coupling is unbalanced,
        populations grow and fade as `mw2_interpolation` tells.

        Parameters
        ----------
        t : float
            From the first label to the last, where labels are numbers. At a label it is
            the mixture of that sample.
        max_growth : float, default=1.5
            By how much the mass of a pair is made up for; see `mw2_interpolation`.

        Returns
        -------
        mixture : Mixture
            Weights, means and covariances.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where no link of two numbers spans t.
        """
        check_is_fitted(self)
        t = check_real(t, "t", -np.inf)
        max_growth = check_real(max_growth, "max_growth", 1.0)
        if t in self.domains_:
            return as_mixture(self.mixtures_[self.domains_.index(t)])
        link, part = self._link_at(t)
        source, target = self._ends(link)
        coupling = np.asarray(self.couplings_[link], np.float64)
        return framed_interpolation(
            source, target, part, coupling, self._frame(link), max_growth
        )

    @by_parts(like_rows, _check_way)
    def move(
        self,
        X: Any,
        source: Any,
        target: Any,
        *,
        method: str = "barycentric",
        random_state: Any = None,
    ) -> np.ndarray:
        """Move rows from one sample to another, along the links between them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of the sample `source`, or like them.
        source, target : label
            Where the rows are, and where they go. Without a link between the two they
            go by the fewest links that lead there.
        method : {'barycentric', 'random', 'most_likely'}, default='barycentric'
            As in `mw2_map`, for each link.
        random_state : int, RandomState instance or None, default=None
            For method='random'.

        Returns
        -------
        moved : ndarray of shape (n_samples, n_features)
            Of the floating type of X.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where a label is unknown or no links lead there.
        """
        check_is_fitted(self)
        checked_method(method)
        X = check_movable(check_rows(self, X))
        rng = check_random_state(random_state)
        way = self._way(self._place(source, "source"), self._place(target, "target"))
        if not way:
            return copied(X)
        for step in way:
            X = self._link_map(step.link, step.forward).move(X, method, rng=rng)
        return X

    @by_parts(like_rows, _check_has_link)
    def velocity(self, X: Any, domain: Any) -> np.ndarray:
        """How fast rows of a sample move, by the maps of the links that it is on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        domain : label
            Their sample.

        Returns
        -------
        velocity : ndarray of shape (n_samples, n_features)
            Displacement in a unit of time, the mean over the links of the sample;
            towards larger labels where these are numbers, else from the first side of a
            link to the second, a link being of length 1.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where the label is unknown or the sample has no link.
        """
        check_is_fitted(self)
        _check_has_link(self, {"domain": domain})
        place = self._place(domain, "domain")
        X = check_movable(check_rows(self, X))
        total, number = 0.0 * as_floats(X), 0
        for i, (link, (first, second)) in enumerate(
            zip(self._links, self.links_, strict=True)
        ):
            if place not in (link.first, link.second):
                continue
            length = 1.0
            if is_time(first) and is_time(second):
                length = float(second) - float(first)
            forward = place == link.first
            moved = as_floats(self._link_map(i, forward).move(X))
            total += (moved - as_floats(X)) / (length if forward else -length)
            number += 1
        return in_type_of(total / number, X)

    def score_holdout(
        self,
        X: Any,
        t: float,
        *,
        metric: str = "likelihood",
        max_growth: float = 1.5,
        random_state: Any = 0,
    ) -> float:
        """How well the mixture at a time describes rows that were left out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that the fit has not seen.
        t : float
            Their time; `locate` finds the one that suits them best.
        metric : {'likelihood', 'sliced'}, default='likelihood'
            Mean log-likelihood, or minus the sliced 2-Wasserstein distance between the
            rows and rows drawn from the mixture, in standard deviations of X (of rows
            in memory alone).
        max_growth : float, default=1.5
            As in `interpolate`.
        random_state : int, RandomState instance or None, default=0
            For draws and directions of 'sliced'.

        Returns
        -------
        score : float
            The larger the better.
        """
        check_is_fitted(self)
        check_choice(metric, "metric", METRICS)
        X = check_rows(self, X)
        mixture = self.interpolate(t, max_growth=max_growth)
        return holdout_score(X, mixture, metric, random_state)

    def locate(self, X: Any, *, between: Any = None, max_growth: float = 1.5) -> float:
        """The time at which the path describes rows best: a calibrated one.

        Where labels are doses and not times, the middle of a path is not half its way:
        a link between the ends and the rows of a middle dose tell where that lies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of one sample.
        between : pair of labels, default=None
            A link; None: all links.
        max_growth : float, default=1.5
            As in `interpolate`.

        Returns
        -------
        t : float
            Where the mean log-likelihood of the rows is largest.
        """
        check_is_fitted(self)
        blocks = blocks_of(check_rows(self, X)).at_hand()
        links = self._timed_links(between)

        def score(t: float) -> float:
            mixture = self.interpolate(t, max_growth=max_growth)
            return mean_log_likelihood(blocks, mixture)

        tried = [
            (score(t), t, ends) for ends in links for t in np.linspace(*ends, _TRIED)
        ]
        _, best, ends = max(tried, key=lambda item: item[0])
        width = abs(ends[1] - ends[0]) / (_TRIED - 1)
        return _refined(
            score, max(best - width, min(ends)), min(best + width, max(ends))
        )

    def _timed_links(self, between: Any) -> list[tuple[float, float]]:
        """Times between which a sample may lie: of one pair of labels, or all links."""
        given: Any = self.links_
        if between is not None:
            given = [tuple(between) if np.iterable(between) else ()]
        links = [
            (float(ends[0]), float(ends[1]))
            for ends in given
            if len(ends) == 2 and all(end in self.domains_ for end in ends)
            if all(map(is_time, ends))
        ]
        if not links:
            expected = f"a link between two numbers of {self.domains_}"
            raise ValueError(message("between", expected, repr(between)))
        return links

    def to_networkx(self, *, min_mass: float = 1e-6) -> Any:
        """The populations and what goes between them, as a directed graph.

        Parameters
        ----------
        min_mass : float, default=1e-6
            Mass of a coupling below which there is no edge.

        Returns
        -------
        graph : networkx.DiGraph
            Nodes (label, component) with `share` and `mean`; edges from the first side
            of a link to its second with `mass` and `cost`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ImportError
            Where networkx is not installed.
        """
        check_is_fitted(self)
        min_mass = check_real(min_mass, "min_mass")
        try:
            import networkx
        except ImportError as error:
            mend = "pip install networkx"
            raise ImportError(
                message("networkx", "an installed package", "none", mend)
            ) from error
        graph = networkx.DiGraph()
        for label, side in zip(self.domains_, self.mixtures_, strict=True):
            for k, (share, mean) in enumerate(
                zip(side.weights_, side.means_, strict=True)
            ):
                graph.add_node((label, k), share=float(share), mean=mean)
        for (first, second), coupling, costs in zip(
            self.links_, self.couplings_, self.costs_, strict=True
        ):
            for k, column in np.argwhere(coupling >= min_mass).tolist():
                graph.add_edge(
                    (first, k),
                    (second, column),
                    mass=float(coupling[k, column]),
                    cost=float(costs[k, column]),
                )
        return graph


def is_time(label: Any) -> bool:
    """Whether a label is a number that may be read as a time."""
    return is_real(label) and not isinstance(label, bool)


def _refined(score: Any, low: float, high: float) -> float:
    """Golden section for the largest score between two times."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = score(left), score(right)
    for _ in range(_REFINED):
        if at_left >= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = score(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = score(right)
    return float(0.5 * (low + high))
