"""How a classifier's components are found, aligned, and brought to target rows."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from sklearn.utils import check_random_state

from skgmmot._blocks import blocks_of
from skgmmot._blocks._row_arrays import like_rows_of
from skgmmot.estimators._class_domains import LabelledDomains
from skgmmot.estimators._class_evidence import gain_of_alignment
from skgmmot.estimators._class_form import NOTHING, Blend, blend_of, kernel_of
from skgmmot.estimators._class_predictions import ClassPredictions, as_parameters
from skgmmot.estimators._classes import (
    Labelled,
    Subclasses,
    alignment_of,
    anchors_of,
    components_of,
    domain_moments,
    moved,
)
from skgmmot.estimators._progress import Progress, callbacks_of
from skgmmot.estimators._sklearn_private import CallbackSupportMixin
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.linalg._covariances import TYPES, CovarianceType
from skgmmot.linalg._mixture import narrowed
from skgmmot.linalg._shrinkage import Affine
from skgmmot.mixture._neighbours import neighbour_average
from skgmmot.mixture._pinned import (
    Anchors,
    PinnedFit,
    Pins,
    Rounds,
    Target,
    run_pinned,
)

_LEAST_RATIO = 0.1  # of a component's shares, by which source rows count
_FIRST_ROUNDS = 12  # of the fit that only has to tell shares


class _Parts(NamedTuple):
    """The source rows, and the class of each of their components."""

    rows: Labelled
    class_of: np.ndarray  # (K,)


class _Setting(NamedTuple):
    """How the target is fitted."""

    kind: CovarianceType
    pins: Pins
    max_iter: int


class _Found(NamedTuple):
    """A fit at one alignment."""

    kind: CovarianceType
    alignment: Affine
    anchors: Anchors
    fit: PinnedFit


class ClassFit(CallbackSupportMixin, ClassPredictions):
    """What `fit` of GMMOTClassifier does, whose parameters it has."""

    def __getstate__(self) -> dict[str, Any]:
        """For a copy or a file, which is opened where there may be no device."""
        state = dict(super().__getstate__())
        if "_kernels" in state:
            kernels = state["_kernels"]
            state["_kernels"] = tuple(k and k.on_host() for k in kernels)
        return state

    def _fit(self, X: Any, domains: LabelledDomains, dtype: Any) -> None:
        parts = self._parts(domains)
        source = domain_moments(domains.X_source, domains.source_weight, self.n_jobs)
        target = domain_moments(domains.X_target, domains.target_weight, self.n_jobs)
        alignment = alignment_of(self.align, source, target)
        blend, stays = NOTHING, False
        if self.align == "auto":
            gain = self._gain(parts, domains, alignment)
            stays = gain <= 0.0
            if len(parts.class_of) == len(self.classes_):
                blend = blend_of(gain)
        twice = self.align is not None and self.reg_m is not None and not stays
        fitted = partial(self._fitted_attributes, parts, blend, dtype)
        callbacks = callbacks_of(self, X, 2 if twice else 1, fitted)
        progress = Progress(self.verbose, 1, callbacks)
        pins = Pins(self.transport_weight, self.shrinkage, self.reg_m, self.reg_covar)
        setting = _Setting(TYPES[self.covariance_type], pins, self.max_iter)
        with progress.telling():
            if stays:
                alignment = alignment_of(None, source, target)
                found = self._stayed(parts, domains, alignment, setting, progress)
            else:
                rows = self._target(domains)
                if twice:
                    first = self._first(parts, rows, alignment, setting, progress)
                    weights = self._reweighted(parts, first)
                    source = domain_moments(domains.X_source, weights, self.n_jobs)
                    alignment = alignment_of(self.align, source, target)
                if progress.stopped:
                    setting = setting._replace(max_iter=1)
                found = self._found(parts, rows, alignment, setting, progress)
        for name, value in fitted(found).items():
            setattr(self, name, value)

    def _gain(
        self, parts: _Parts, domains: LabelledDomains, alignment: Affine
    ) -> float:
        """How much more the target rows tell of than changed shares."""
        X, weights = domains.X_target, domains.target_weight
        return gain_of_alignment(
            parts.rows, X, weights, alignment, self.reg_covar, self.reg_m is not None
        )

    def _parts(self, domains: LabelledDomains) -> _Parts:
        """Source rows with their components, which no alignment changes."""
        state = 0 if self.random_state is None else self.random_state
        subclasses = Subclasses(
            self.n_components_per_class,
            self.covariance_type,
            self.reg_covar,
            check_random_state(state),
            self.n_jobs,
        )
        X, weights = domains.X_source, domains.source_weight
        labels, class_of = components_of(X, domains.y, weights, subclasses)
        rows = Labelled(X, weights, labels, len(class_of), self.n_jobs)
        return _Parts(rows, class_of)

    def _target(self, domains: LabelledDomains) -> Target:
        """Target rows, and the average over their neighbours."""
        X, weights = domains.X_target, domains.target_weight
        average = None
        if self.neighbor_weight > 0.0 and X.shape[0] > 1:
            average = neighbour_average(X, weights, self.neighbor_weight)
        return Target(blocks_of(X, weights, self.n_jobs), average)

    def _stayed(
        self,
        parts: _Parts,
        domains: LabelledDomains,
        alignment: Affine,
        setting: _Setting,
        progress: Progress,
    ) -> _Found:
        """Components of the source as they are, with the shares that rows give."""
        rows = Target(blocks_of(domains.X_target, domains.target_weight, self.n_jobs))
        setting = setting._replace(max_iter=1)
        found = self._found(parts, rows, alignment, setting, progress)
        return found._replace(fit=found.fit._replace(converged=not progress.stopped))

    def _first(
        self,
        parts: _Parts,
        rows: Target,
        alignment: Affine,
        setting: _Setting,
        progress: Progress,
    ) -> _Found:
        """A short fit for shares as the rows tell them."""
        reg_m: Any = self.reg_m
        kind, pins, most = setting
        pins = pins._replace(reg_m=min(reg_m, 1.0))
        setting = _Setting(_simple(kind), pins, min(_FIRST_ROUNDS, most))
        return self._found(parts, rows, alignment, setting, progress)

    def _found(
        self,
        parts: _Parts,
        rows: Target,
        alignment: Affine,
        setting: _Setting,
        progress: Progress,
    ) -> _Found:
        """Components of the moved source, and where the target rows bring them."""
        source, kind = parts.rows, setting.kind
        if self.align is not None:
            source = source._replace(X=moved(source.X, alignment, self.n_jobs))
        anchors = anchors_of(source, kind, self.reg_covar)

        def report(iteration: int, change: float, fit: PinnedFit) -> bool:
            state = _Found(kind, alignment, anchors, fit)
            return progress.step(iteration, change, state)

        progress.begin(0)
        rounds = Rounds(setting.max_iter, self.tol, report)
        fit = run_pinned(rows, kind, anchors, setting.pins, rounds)
        progress.end(np.nan, fit.converged)
        return _Found(kind, alignment, anchors, fit)

    def _reweighted(self, parts: _Parts, found: _Found) -> Any:
        """Weights of the source rows whose components have the target's shares."""
        ratios, labels = found.fit.shares / found.anchors.weights, parts.rows.labels
        ratios = like_rows_of(labels, np.maximum(ratios, _LEAST_RATIO))
        ratios = array_namespace(ratios).take(ratios, labels)
        weights = parts.rows.weights
        return ratios if weights is None else weights * ratios

    def _fitted_attributes(
        self, parts: _Parts, blend: Blend, dtype: Any, found: _Found
    ) -> dict[str, Any]:
        """What the estimator has whose fit ends, or had stopped, at this one."""
        kind, fit = found.kind, found.fit
        source = as_parameters(anchors_of(parts.rows, kind, self.reg_covar), kind)
        sides = [
            SparseGaussianMixture._of_parameters(side, kind.name, dtype)
            for side in (source, fit.parameters)
        ]
        if hasattr(self, "feature_names_in_"):
            for side in sides:
                side.feature_names_in_ = self.feature_names_in_
        shares = np.bincount(parts.class_of, fit.shares)
        return {
            "source_": sides[0],
            "target_": sides[1],
            "component_classes_": parts.class_of,
            "class_shares_": (shares / shares.sum()).astype(dtype),
            "coupling_": np.diag(found.anchors.weights).astype(dtype),
            "alignment_": Affine(*(narrowed(part, dtype) for part in found.alignment)),
            "n_iter_": fit.n_iter,
            "converged_": fit.converged,
            "_anchors": found.anchors,
            "_blend": blend,
            **self._voices(parts, blend, found, dtype),
        }

    def _voices(
        self, parts: _Parts, blend: Blend, found: _Found, dtype: Any
    ) -> dict[str, Any]:
        """What else speaks for target rows: the source, as far as it is asked."""
        rows, reg_covar = parts.rows, self.reg_covar
        labels = array_namespace(rows.labels).take(
            like_rows_of(rows.labels, parts.class_of), rows.labels
        )
        here = rows._replace(labels=labels, n_components=len(self.classes_))
        expected = there = None
        if blend.anchors > 0.0:
            X = moved(rows.X, found.alignment, self.n_jobs)
            there = kernel_of(here._replace(X=X), reg_covar)
            kind = _simple(found.kind)
            anchors = anchors_of(rows._replace(X=X), kind, reg_covar)
            expected = SparseGaussianMixture._of_parameters(
                as_parameters(anchors, kind), kind.name, dtype
            )
        kernels = there, kernel_of(here, reg_covar) if blend.rows > 0.0 else None
        return {"_expected": expected, "_kernels": kernels}


def _simple(kind: CovarianceType) -> CovarianceType:
    """One covariance in place of full ones."""
    return TYPES["tied"] if kind.full_form else kind
