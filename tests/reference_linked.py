"""Slow truth for linked mixtures: L-BFGS over everything at once, plain loops.

A mixture is a triple ``(weights, means, covariances)``, as in `reference_coupled`.
Balanced, the links are a tree and a sample's weights are what arrives from the sample
before it: plans are weights times conditional shares, so that all marginals agree.
Unbalanced, links may be any and weights are variables of their own.
"""

import numpy as np
from reference_coupled import (
    Variables,
    _factor,
    _factor_gradient,
    _likelihood_gradients,
    _pair,
    mean_log_likelihood,
    shifted_transport,
    transport_plan,
    transport_value,
)
from reference_coupled import costs as plain_costs
from scipy.optimize import minimize
from scipy.special import logsumexp


def objective(data, mixtures, links, weight, reg=0.0, reg_m=None, free_shift=False):
    """As it is written down, each plan solved by itself; links are (a, b, weight)."""
    value = sum(map(mean_log_likelihood, data, mixtures))
    for a, b, w in links:
        pair = None if reg_m is None else (reg_m[a], reg_m[b])
        ends = mixtures[a], mixtures[b]
        if free_shift:
            cost = shifted_transport(*ends, reg, pair)[0]
        else:
            table = plain_costs(*ends)
            plan = transport_plan(table, ends[0][0], ends[1][0], reg, pair)
            cost = transport_value(plan, table, ends[0][0], ends[1][0], reg, pair)
        value -= weight * w * cost
    return value


class Linked:
    """The linked objective as a function of one flat vector.

    Balanced links lead from samples that came before: (a, b) with b new.
    """

    def __init__(self, data, sizes, links, weight, reg=0.0, reg_m=None, shift=False):
        self.data, self.sizes, self.links = data, sizes, links
        self.weight, self.reg, self.reg_m, self.shift = weight, reg, reg_m, shift
        d = data[0].shape[1]
        shapes = {}
        for t, k in enumerate(sizes):
            shapes |= {f"w{t}": (k,), f"m{t}": (k, d), f"l{t}": (k, d, d)}
        for i, (a, b, _) in enumerate(links):
            shapes |= {f"plan{i}": (sizes[a], sizes[b]), f"shift{i}": (d,)}
        self.variables = Variables(**shapes)

    def unpack(self, x):
        """Plans and mixtures of a flat vector."""
        v = self.variables.split(x)
        plans = []
        weights = [self._softmax(v[f"w{t}"]) for t in range(len(self.sizes))]
        for i, (a, b, _) in enumerate(self.links):
            if self.reg_m is None:
                plans.append(weights[a][:, None] * self._softmax(v[f"plan{i}"]))
                weights[b] = plans[i].sum(0)
            else:
                plans.append(np.exp(v[f"plan{i}"]))
        mixtures = []
        for t, w in enumerate(weights):
            factors = [_factor(rows, False) for rows in v[f"l{t}"]]
            mixtures.append((w, v[f"m{t}"], np.array([f @ f.T for f in factors])))
        return plans, mixtures

    @staticmethod
    def _softmax(logits):
        return np.exp(logits - logsumexp(logits, axis=-1, keepdims=True))

    def loss(self, x):
        """Minus the objective and its gradient."""
        v = self.variables.split(x)
        plans, mixtures = self.unpack(x)
        gradient = {name: np.zeros(s) for name, s in self.variables.shapes.items()}
        value, slopes = 0.0, []
        for X, mixture in zip(self.data, mixtures, strict=True):
            likelihood, *own = _likelihood_gradients(X, mixture)
            value += likelihood
            slopes.append(own)
        d_plans = []
        for i, (a, b, w) in enumerate(self.links):
            cost, d_plan, d_ends, d_shift = self._transport(
                plans[i], mixtures, a, b, v[f"shift{i}"]
            )
            rate = self.weight * w
            value -= rate * cost
            d_plans.append(-rate * d_plan)
            if self.shift:
                gradient[f"shift{i}"] = -rate * d_shift
            for t, parts in zip((a, b), d_ends, strict=True):
                for own, part in zip(slopes[t], parts, strict=True):
                    own -= rate * part
        for i in reversed(range(len(self.links))):
            a, b, _ = self.links[i]
            plan, d_plan = plans[i], d_plans[i]
            if self.reg_m is not None:
                gradient[f"plan{i}"] = plan * d_plan
                continue
            d_plan = d_plan + slopes[b][0]
            shares = self._softmax(v[f"plan{i}"])
            slopes[a][0] += (shares * d_plan).sum(1)
            middle = (shares * d_plan).sum(1, keepdims=True)
            gradient[f"plan{i}"] = plan * (d_plan - middle)
        new = [] if self.reg_m is not None else [b for _, b, _ in self.links]
        for t, (d_w, d_m, d_c) in enumerate(slopes):
            w = mixtures[t][0]
            if t not in new:
                gradient[f"w{t}"] = w * (d_w - w @ d_w)
            gradient[f"m{t}"] = d_m
            for k, lower in enumerate(v[f"l{t}"]):
                gradient[f"l{t}"][k] = _factor_gradient(
                    d_c[k], _factor(lower, False), False
                )
        return -value, -self.variables.join(gradient)

    def _transport(self, plan, mixtures, a, b, shift):
        (wa, ma, ca), (wb, mb, cb) = mixtures[a], mixtures[b]
        table = np.empty_like(plan)
        ends = [[np.zeros_like(part) for part in mixtures[t]] for t in (a, b)]
        d_shift = np.zeros_like(shift)
        for k in range(len(wa)):
            for j in range(len(wb)):
                bures, left, right = _pair(ca[k], cb[j])
                gap, mass = ma[k] + shift - mb[j], plan[k, j]
                table[k, j] = gap @ gap + bures
                ends[0][1][k] += 2 * mass * gap
                ends[1][1][j] -= 2 * mass * gap
                d_shift += 2 * mass * gap
                ends[0][2][k] += mass * left
                ends[1][2][j] += mass * right
        pair = None if self.reg_m is None else (self.reg_m[a], self.reg_m[b])
        value = transport_value(plan, table, wa, wb, self.reg, pair)
        d_plan = table.copy()
        rows, columns = plan.sum(1), plan.sum(0)
        if self.reg > 0:
            d_plan += self.reg * np.log(np.maximum(plan, 1e-300) / np.outer(wa, wb))
            ends[0][0] += self.reg * (1 - rows / wa)
            ends[1][0] += self.reg * (1 - columns / wb)
        if pair is not None:
            d_plan += pair[0] * np.log(rows / wa)[:, None]
            d_plan += pair[1] * np.log(columns / wb)
            ends[0][0] += pair[0] * (1 - rows / wa)
            ends[1][0] += pair[1] * (1 - columns / wb)
        return value, d_plan, ends, d_shift

    def start(self, rng):
        """Flat vector of a random start: means at rows, covariances of the sample."""
        parts = {}
        for t, (X, k) in enumerate(zip(self.data, self.sizes, strict=True)):
            spread = 10.0 ** rng.uniform(-1.5, 0.0)
            lower = np.linalg.cholesky(spread * np.atleast_2d(np.cov(X.T)))
            free = np.tril(lower, -1) + np.diag(np.log(np.diag(lower)))
            parts[f"w{t}"] = np.zeros(k)
            parts[f"m{t}"] = X[rng.choice(len(X), k, replace=False)]
            parts[f"l{t}"] = np.broadcast_to(free, (k, *free.shape))
        for i, (a, b, _) in enumerate(self.links):
            plan = 0.1 * rng.standard_normal((self.sizes[a], self.sizes[b]))
            parts[f"plan{i}"] = plan - logsumexp(plan)
            gap = self.data[b].mean(0) - self.data[a].mean(0)
            parts[f"shift{i}"] = gap if self.shift else 0.0 * gap
        return self.variables.join(parts)

    def _bounded_loss(self, x):
        # Where a step goes too far to be evaluated, the line search has to turn back.
        try:
            with np.errstate(all="ignore"):
                value, gradient = self.loss(x)
        except ValueError:
            return 1e6, np.zeros_like(x)
        known = np.isfinite(value) and np.isfinite(gradient).all()
        return (value, gradient) if known else (1e6, np.zeros_like(x))

    def _singular(self, x):
        for X, (_, _, covariances) in zip(self.data, self.unpack(x)[1], strict=True):
            least = 1e-6 * np.linalg.eigvalsh(np.atleast_2d(np.cov(X.T)))[0]
            if np.linalg.eigvalsh(covariances).min() < least:
                return True
        return False

    def _stop_if_singular(self, intermediate_result):
        if self._singular(intermediate_result.x):
            raise StopIteration

    def fit(self, n_restarts=10, seed=0, max_iter=1000):
        """Best of several restarts that do not end at a singular component."""
        found, options = [], {"maxiter": max_iter, "maxfun": 2 * max_iter}
        options |= {"maxcor": 30, "ftol": 1e-14, "gtol": 1e-9}
        for restart in range(4 * n_restarts):
            start = self.start(np.random.default_rng((seed, restart)))
            result = minimize(
                self._bounded_loss, start, jac=True, method="L-BFGS-B",
                options=options, callback=self._stop_if_singular,
            )  # fmt: skip
            if result.fun < 1e6 and not self._singular(result.x):
                found.append(result)
            if len(found) == n_restarts:
                break
        if not found:
            raise RuntimeError("every restart ended at a singular component")
        best = min(found, key=lambda result: result.fun)
        return -best.fun, self.unpack(best.x)[1]
