"""How sure a coupled fit is: the same fit under other weights of the rows."""

from typing import Any

from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks._row_arrays import numpy_type
from skgmmot._checks import message
from skgmmot.estimators._bootstrap import (
    CoupledBootstrap,
    Draw,
    checked_draws,
    gathered,
)
from skgmmot.estimators._coupled_fit import CoupledEstimator
from skgmmot.estimators._graph_fit import Samples, ratio
from skgmmot.estimators._resampling import Outcome, Resampling
from skgmmot.estimators._validation import check_rows_at_hand, check_weights
from skgmmot.linalg._covariances import TYPES
from skgmmot.linalg._mixture import narrowed
from skgmmot.mixture.coupled._domains import dense_mixture
from skgmmot.mixture.coupled._records import Link
from skgmmot.transport._mw2 import mw2_distance


class BootstrapsCoupled(CoupledEstimator):
    """The method `bootstrap` of CoupledGaussianMixture."""

    def bootstrap(
        self,
        X: Any,
        *,
        sample_domain: Any = None,
        sample_weight: Any = None,
        n_bootstraps: int = 200,
        confidence_level: float = 0.95,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> CoupledBootstrap:
        """How sure the fit is, by a Bayesian bootstrap of its rows.

        Each draw gives the rows of both domains random weights (exponential ones, of
        the same sum as before), and fits again from the fitted mixtures, whose labels
        the draws keep; alignment and units are measured anew.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows of `fit`.
        sample_domain : array-like of shape (n_samples,), default=None
            Their labels. None only where one side is frozen: all rows are of the other.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.
        n_bootstraps : int, default=200
            Draws, at least 2.
        confidence_level : float, default=0.95
            Part of the draws that lies within an interval.
        random_state : int, RandomState instance or None, default=None
            For the weights.
        n_jobs : int, default=None
            Threads that share the rows of a draw; None: the usable cores.
        verbose : int, default=0
            1 tells after every tenth draw how many are done.

        Returns
        -------
        bootstrap : CoupledBootstrap
            Draws along the first axis of `source_weights`, `target_weights`,
            `coupling`, `source_reweighting`, `target_reweighting`, `source_means`,
            `target_means`, `transport_cost` and `mw2`; `intervals`, a dict by these
            names of lower and upper ends; `debiased`, the same of what the rows say
            without the transport term.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where X, labels, weights or numbers are not as expected.

        Notes
        -----
        The draws vary as the fit does, about what the fit would find in very many rows.
        That is not the truth where the transport term pulls on shares and means:
        `debiased` takes the mixtures after a step of EM without it, and couples them
        without entropy. Balanced, the exact plan does not vary smoothly where it has
        few entries, as where shares are equal; its intervals are the basic ones
        (Davison and Hinkley 1997, doi 10.1017/CBO9780511802843, section 5.2): quantiles
        of the draws, mirrored about the plan of all rows and cut at 0.
        """
        check_is_fitted(self)
        number, level = checked_draws(n_bootstraps, confidence_level)
        X = check_rows_at_hand(self, X)
        weights = check_weights(sample_weight, X)
        if sample_domain is None and self.frozen is None:
            expected = "the labels that fit was given"
            mend = "a sample that is coupled with itself has no second one to vary"
            raise ValueError(message("sample_domain", expected, None, mend))
        rng = check_random_state(random_state)
        samples = self._bootstrapped(X, weights, sample_domain)
        kind, dtype = TYPES[self.covariance_type], numpy_type(X)
        resampling = Resampling(self, samples, n_jobs)
        draws = [
            tuple(_told(outcome, kind, dtype) for outcome in pair)
            for pair in resampling.draws(number, rng, verbose)
        ]
        plain, debiased = zip(*draws, strict=True)
        exact = resampling.centre().couplings[0] if resampling.balanced else None
        return gathered(plain, level, gathered(debiased, level, exact=exact))

    def _bootstrapped(self, X: Any, weights: Any, sample_domain: Any) -> Samples:
        """What the fit was fitted to, with the numbers of components that it found."""
        sides = "source", "target"
        return Samples(
            sides,
            self._rows(X, weights, sample_domain),
            self._checked_starts(self.n_features_in_),
            tuple(self.frozen == side for side in sides),
            (Link(0, 1),),
            self.coupling_.shape,
            self._checked_reg_m(),
        )


def _told(outcome: Outcome, kind: Any, dtype: Any) -> Draw:
    """One draw, by the names of the record."""
    source, target = outcome.point
    (coupling,), (cost,) = outcome.couplings, outcome.costs
    leaving, arriving = coupling.sum(axis=1), coupling.sum(axis=0)
    distance = mw2_distance(*(dense_mixture(kind, side) for side in outcome.point))
    arrays = {
        "source_weights": source.weights,
        "target_weights": target.weights,
        "coupling": coupling,
        "source_reweighting": ratio(leaving, source.weights, dtype),
        "target_reweighting": ratio(target.weights, arriving, dtype),
        "source_means": source.means,
        "target_means": target.means,
    }
    told = {name: narrowed(array, dtype) for name, array in arrays.items()}
    return Draw(**told, transport_cost=cost, mw2=distance)
