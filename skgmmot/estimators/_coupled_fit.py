"""How a coupled mixture is fitted: what the user gave, and what is kept."""

from typing import Any, Self

import numpy as np

from skgmmot._blocks._row_arrays import numpy_type
from skgmmot._checks import is_integer, message
from skgmmot._threads import one_blas_thread
from skgmmot.estimators._coupled_base import CoupledPredictions
from skgmmot.estimators._coupled_checks import (
    check_linear_form,
    checked_penalties,
    checked_start,
)
from skgmmot.estimators._domains import free_rows, split_rows
from skgmmot.estimators._graph_fit import (
    FittedLinks,
    GraphEstimator,
    Rows,
    Samples,
    ratio,
)
from skgmmot.estimators._sklearn_private import fit_context, with_callbacks
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.estimators._validation import (
    check_rows,
    check_weights,
    drop_weightless,
    unchanged_on_error,
)
from skgmmot.linalg._mixture import narrowed
from skgmmot.mixture._em import Parameters
from skgmmot.mixture.coupled._records import Link
from skgmmot.mixture.coupled._starts import Given
from skgmmot.transport._plan import TransportPlan

_SIDES = ("source", "target")
_LINKS = (Link(0, 1),)


class CoupledEstimator(GraphEstimator, CoupledPredictions):
    """What `fit` of CoupledGaussianMixture does; its parameters are that class's."""

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def _fit(self, X: Any, sample_domain: Any, sample_weight: Any) -> Self:
        with unchanged_on_error(self), one_blas_thread():
            X = check_rows(self, X, reset=True, ensure_min_samples=2)
            weights = check_weights(sample_weight, X)
            reg_m = self._checked_reg_m()
            given = self._checked_starts(X.shape[1])
            samples = Samples(
                _SIDES,
                self._rows(X, weights, sample_domain),
                given,
                tuple(self.frozen == side for side in _SIDES),
                _LINKS,
                self._checked_sizes(given),
                reg_m,
            )
            found = self._fitted(samples, X)
            self._has_domains = sample_domain is not None
            self._store(found, numpy_type(X))
        return self

    # What the user gave

    def _rows(self, X: Any, weights: Any, sample_domain: Any) -> list[Rows | None]:
        """Rows and weights of each side; None of a frozen one, which needs none."""
        if self.frozen is None:
            sides = split_rows(sample_domain, X, weights)
            return [drop_weightless(*side) for side in sides]
        free = drop_weightless(*free_rows(sample_domain, X, weights, self.frozen))
        return [None if self.frozen == side else free for side in _SIDES]

    def _checked_sizes(self, given: Given) -> tuple[int, ...] | None:
        """Numbers of both sides, or None where they are to be found."""
        sizes: Any = self.n_components
        if isinstance(sizes, str):
            known = [len(mixture.weights) for mixture in given if mixture is not None]
            return (known[0], known[-1]) if known else None
        sizes = (sizes, sizes) if is_integer(sizes, 1) else tuple(sizes)
        if len(sizes) != 2 or not all(is_integer(size, 1) for size in sizes):
            expected = "'bic', a positive integer or a pair (source, target) of them"
            raise ValueError(message("n_components", expected, repr(self.n_components)))
        for side, size, mixture in zip(_SIDES, sizes, given, strict=True):
            if mixture is not None and len(mixture.weights) != size:
                got = f"means of shape {mixture.means.shape}"
                mend = "n_components='bic' takes the number from the start"
                raise ValueError(
                    message(f"{side}_init", f"{size} components", got, mend)
                )
        return sizes

    def _checked_reg_m(self) -> tuple[float, ...] | None:
        return None if self.reg_m is None else checked_penalties(self.reg_m)

    def _checked_starts(self, n_features: int) -> tuple[Parameters | None, ...]:
        check_linear_form(self.align, self.covariance_type)
        given = []
        for side in _SIDES:
            name = f"{side}_init"
            start = getattr(self, name)
            if start is None and self.frozen == side:
                expected = f"a mixture for the {side}, since frozen={side!r}"
                raise ValueError(message(name, expected, None))
            known = (
                None
                if start is None
                else checked_start(start, name, self.covariance_type)
            )
            if known is not None and known.means.shape[1] != n_features:
                got = f"means of shape {known.means.shape}"
                raise ValueError(message(name, f"{n_features} features", got))
            given.append(known)
        return tuple(given)

    # The problem

    # What is kept

    def _former_mixtures(
        self, samples: Samples
    ) -> tuple[SparseGaussianMixture, SparseGaussianMixture]:
        return self.source_, self.target_

    def _store(self, found: FittedLinks, dtype: Any) -> None:
        """Keep what a fit found, components of both sides in corresponding order."""
        self.source_, self.target_ = (
            self._fitted_side(parameters, dtype) for parameters in found.point
        )
        self.alignment_ = found.alignments[0]
        self.cost_scale_ = found.metrics[0]
        self._set_plan(found.plans[0], dtype)

    def _set_plan(self, plan: Any, dtype: Any) -> None:
        coupling = plan.coupling
        leaving, arriving = coupling.sum(axis=1), coupling.sum(axis=0)
        ends = (self.source_.weights_, self.target_.weights_)
        source, target = (weights.astype(np.float64) for weights in ends)
        self.coupling_ = coupling.astype(dtype)
        self.costs_ = narrowed(plan.costs, dtype)
        self.transport_cost_ = float(plan.value)
        self.transported_mass_ = float(coupling.sum())
        self.source_reweighting_ = ratio(leaving, source, dtype)
        self.target_reweighting_ = ratio(target, arriving, dtype)
        self._potentials = tuple(plan.potentials)

    def _plan(self) -> TransportPlan:
        """The fitted coupling as a plan, in the units of the objective."""
        return TransportPlan(
            self.coupling_, self.costs_, self.transport_cost_, self._potentials
        )

    def _regs(self) -> dict[str, Any]:
        """`reg` and `reg_m`, in the units of the objective."""
        return {"reg": self.reg, "reg_m": self._checked_reg_m()}
