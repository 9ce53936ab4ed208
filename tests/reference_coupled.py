"""Slow truth for the coupled mixture: plain loops, SciPy, nothing of skgmmot.

A mixture is a triple ``(weights, means, covariances)`` of full covariances.  The
objective is computed as it is written down; the optimiser is L-BFGS over
unconstrained parameters of everything at once, the plan included, because both the
likelihood and minus the transport cost are maximised over their own variables.
"""

import numpy as np
from scipy.linalg import sqrtm
from scipy.optimize import linprog, minimize
from scipy.special import logsumexp, xlogy
from scipy.stats import multivariate_normal


def bures_squared(left, right):
    """Squared Bures distance by the trace formula."""
    if not len(left):
        return 0.0
    root = np.real(sqrtm(left))
    cross = np.real(sqrtm(root @ right @ root))
    return np.trace(left) + np.trace(right) - 2 * np.trace(cross)


def costs(source, target):
    """Squared 2-Wasserstein distance between every pair of components."""
    table = np.empty((len(source[0]), len(target[0])))
    for k in range(len(source[0])):
        for j in range(len(target[0])):
            shift = source[1][k] - target[1][j]
            table[k, j] = shift @ shift + bures_squared(source[2][k], target[2][j])
    return table


def framed_costs(first, second, matrix, shift, metric):
    """Costs after x -> A x + b of the first, squares divided by `metric`."""
    kept = np.isfinite(metric)
    scales = 1 / np.sqrt(metric[kept])

    def seen(mixture, matrix, shift):
        weights, means, covariances = mixture
        by = (matrix * 1.0)[kept] * scales[:, None]
        return (
            weights,
            np.array([by @ mean + scales * shift[kept] for mean in means]),
            np.array([by @ covariance @ by.T for covariance in covariances]),
        )

    d = len(metric)
    return costs(seen(first, matrix, shift), seen(second, np.eye(d), np.zeros(d)))


def linked_weights(tables, links, counts, frozen, reg, reg_m):
    """Least of sum of OT - sum of n log pi over all plans and weights, by SLSQP.

    `tables` are costs in nats, one a link; `counts` are weights where frozen.
    Returns the value and the weights.
    """
    sizes = [len(n) for n in counts]
    shapes = {f"plan{i}": table.shape for i, table in enumerate(tables)}
    shapes |= {f"w{t}": (size,) for t, size in enumerate(sizes)}
    variables = Variables(**shapes)

    def value(x):
        v, total = variables.split(x), 0.0
        for i, (a, b) in enumerate(links):
            w = v[f"w{a}"], v[f"w{b}"]
            pair = None if reg_m is None else (reg_m[a], reg_m[b])
            total += transport_value(v[f"plan{i}"], tables[i], *w, reg, pair)
        for t, n in enumerate(counts):
            total -= 0.0 if frozen[t] else n @ np.log(v[f"w{t}"])
        return total

    def equalities(x):
        v, found = variables.split(x), []
        for t, n in enumerate(counts):
            found.append(v[f"w{t}"] - n if frozen[t] else [v[f"w{t}"].sum() - 1])
        for i, (a, b) in enumerate(links):
            if reg_m is None:
                found.append(v[f"plan{i}"].sum(1) - v[f"w{a}"])
                found.append((v[f"plan{i}"].sum(0) - v[f"w{b}"])[:-1])
        return np.concatenate(found)

    start = {f"w{t}": n for t, n in enumerate(counts)}
    for i, (a, b) in enumerate(links):
        start[f"plan{i}"] = np.outer(counts[a], counts[b])
    x = variables.join(start)
    result = minimize(
        value, x, bounds=[(1e-12, None)] * len(x), method="SLSQP",
        constraints={"type": "eq", "fun": equalities},
        options={"maxiter": 1000, "ftol": 1e-13},
    )  # fmt: skip
    v = variables.split(result.x)
    return result.fun, [v[f"w{t}"] for t in range(len(counts))]


def kl(f, g):
    """Generalised Kullback-Leibler divergence."""
    return np.sum(xlogy(f, f / g) - f + g)


def transport_value(plan, table, a, b, reg=0.0, reg_m=None):
    """Value of the transport programme at a given plan."""
    value = np.sum(plan * table)
    if reg > 0:
        value += reg * kl(plan, np.outer(a, b))
    if reg_m is not None:
        value += reg_m[0] * kl(plan.sum(1), a) + reg_m[1] * kl(plan.sum(0), b)
    return value


def _linear_plan(table, a, b):
    rows = [np.kron(np.eye(len(a))[k], np.ones(len(b))) for k in range(len(a))]
    columns = [np.tile(np.eye(len(b))[j], len(a)) for j in range(len(b))]
    result = linprog(
        table.ravel(), A_eq=np.array(rows + columns), b_eq=np.concatenate([a, b])
    )
    return result.x.reshape(table.shape)


def _sinkhorn_plan(table, a, b, reg, reg_m):
    damping = (1.0, 1.0) if reg_m is None else [m / (m + reg) for m in reg_m]
    f, g = np.zeros(len(a)), np.zeros(len(b))
    for eps in np.append(np.geomspace(max(table.max(), reg), reg, 12), reg):
        if reg_m is not None:
            damping = [m / (m + eps) for m in reg_m]
        for _ in range(100_000 if eps == reg else 100):
            before = f
            f = -damping[0] * eps * logsumexp((g - table) / eps, axis=1, b=b)
            f_column = (f[:, None] - table) / eps
            g = -damping[1] * eps * logsumexp(f_column, axis=0, b=a[:, None])
            if np.abs(f - before).max() < 1e-13 * max(1.0, np.abs(f).max()):
                break
    return np.outer(a, b) * np.exp((f[:, None] + g - table) / reg)


def _kl_plan(table, a, b, reg_m):
    # By its dual: maximise -sum_i reg_m_i <marginal, exp(-f / reg_m_i) - 1> under
    # f + g <= C; the primal over non-negative entries is smooth enough for L-BFGS-B.
    def primal(x):
        plan = x.reshape(table.shape)
        rows, columns = plan.sum(1), plan.sum(0)
        slope = (
            table
            + reg_m[0] * np.log(np.maximum(rows, 1e-300) / a)[:, None]
            + reg_m[1] * np.log(np.maximum(columns, 1e-300) / b)
        )
        return transport_value(plan, table, a, b, 0.0, reg_m), slope.ravel()

    start = np.outer(a, b) * np.exp(-table / np.mean(reg_m))
    result = minimize(
        primal,
        np.maximum(start, 1e-12).ravel(),
        jac=True,
        bounds=[(1e-300, None)] * table.size,
        method="L-BFGS-B",
        options={"maxiter": 20_000, "maxfun": 50_000, "ftol": 1e-16, "gtol": 1e-12},
    )
    return result.x.reshape(table.shape)


def transport_plan(table, a, b, reg=0.0, reg_m=None):
    """Plan of the transport programme, by the plainest solver for its kind."""
    if reg > 0:
        return _sinkhorn_plan(table, a, b, reg, reg_m)
    if reg_m is None:
        return _linear_plan(table, a, b)
    return _kl_plan(table, a, b, reg_m)


def mean_log_likelihood(X, mixture, sample_weight=None):
    """Weighted mean of the log-density of a mixture."""
    terms = [
        np.log(w) + multivariate_normal(m, c, allow_singular=False).logpdf(X)
        for w, m, c in zip(*mixture, strict=True)
    ]
    return np.average(
        logsumexp(np.reshape(terms, (len(terms), -1)), axis=0), weights=sample_weight
    )


def scaled(mixture, scale):
    """The mixture with features divided by the roots of the units of the costs."""
    roots = np.sqrt(np.broadcast_to(scale, mixture[1].shape[1:]))
    return mixture[0], mixture[1] / roots, mixture[2] / np.outer(roots, roots)


def moved(mixture, linear, shift):
    """The mixture after x -> linear x + shift; a vector is a diagonal."""
    linear = np.diag(linear) if np.ndim(linear) == 1 else linear
    means = np.array([linear @ mean + shift for mean in mixture[1]])
    return mixture[0], means, np.array([linear @ c @ linear.T for c in mixture[2]])


def shifted_transport(source, target, reg=0.0, reg_m=None):
    """Least transport cost over common shifts of the source: (value, shift, plan).

    Starts are the difference of the means and those of any two components; descent
    goes on from the best of them, with the derivative at the plan of each shift.
    """
    starts = [target[0] @ target[1] - source[0] @ source[1]]
    if reg_m is not None:  # balanced, all plans have the same best shift
        starts += [other - mean for mean in source[1] for other in target[1]]

    def solved(shift):
        table = costs((source[0], source[1] + shift, source[2]), target)
        plan = transport_plan(table, source[0], target[0], reg, reg_m)
        value = transport_value(plan, table, source[0], target[0], reg, reg_m)
        return value, shift, plan

    def value_and_slope(shift):
        value, _, plan = solved(shift)
        gaps = plan.sum(1) @ (source[1] + shift) - plan.sum(0) @ target[1]
        return value, 2.0 * gaps

    best = min(map(solved, starts), key=lambda triple: triple[0])
    if reg_m is None:
        return best
    found = minimize(value_and_slope, best[1], jac=True, options={"gtol": 1e-9})
    return min(solved(found.x), best, key=lambda triple: triple[0])


def objective(
    X0, X1, source, target, transport_weight, reg=0.0, reg_m=None, scale=1.0,
    align=None, frame=None,
):  # fmt: skip
    """The objective of the coupled mixture, computed as it is written down.

    `scale` is one number, or one for each feature; `align` is "shift", or another word
    that goes with `frame`, the map (linear, shift) of the source.
    """
    left = source if frame is None else moved(source, *frame)
    ends = scaled(left, scale), scaled(target, scale)
    if align == "shift":
        value = shifted_transport(*ends, reg, reg_m)[0]
    else:
        table = costs(*ends)
        plan = transport_plan(table, source[0], target[0], reg, reg_m)
        value = transport_value(plan, table, source[0], target[0], reg, reg_m)
    likelihoods = mean_log_likelihood(X0, source), mean_log_likelihood(X1, target)
    return sum(likelihoods) - transport_weight * value


# The optimiser: everything unconstrained, gradients written by hand.


class Variables:
    """Names for slices of one flat vector: shapes in order of insertion."""

    def __init__(self, **shapes):
        self.shapes = shapes

    def split(self, x):
        parts, at = {}, 0
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            parts[name] = x[at : at + size].reshape(shape)
            at += size
        return parts

    def join(self, parts):
        return np.concatenate([np.ravel(parts[name]) for name in self.shapes])


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _pair(left, right):
    # Bures^2 and its derivatives I - T_left->right and I - T_right->left.
    root = _root(left)
    inverse = np.linalg.inv(root)
    cross = _root(root @ right @ root)
    forward = inverse @ cross @ inverse
    value = np.trace(left) + np.trace(right) - 2 * np.trace(cross)
    eye = np.eye(len(left))
    return value, eye - forward, eye - np.linalg.inv(forward)


def _factor(lower, diagonal):
    # Factor L of a covariance from free numbers (the logarithm of its diagonal).
    if diagonal:
        return np.diag(np.exp(np.diag(lower)))
    return np.tril(lower, -1) + np.diag(np.exp(np.diag(lower)))


def _factor_gradient(gradient, factor, diagonal):
    # Derivative in the free numbers from the one in Sigma = L L^T.
    slope = 2 * gradient @ factor
    full = np.tril(slope, -1) * (not diagonal)
    return full + np.diag(np.diag(slope) * np.diag(factor))


def _likelihood_gradients(X, mixture):
    # Mean log-likelihood, and its derivatives in weights, means and covariances.
    w, m, c = mixture
    terms = np.array([multivariate_normal(m[k], c[k]).logpdf(X) for k in range(len(w))])
    terms = terms.reshape(len(w), len(X)) + np.log(w)[:, None]
    total = logsumexp(terms, axis=0)
    share = np.exp(terms - total)
    counts = share.mean(1)
    d_mean, d_cov = np.empty_like(m), np.empty_like(c)
    for k in range(len(w)):
        precision = np.linalg.inv(c[k])
        rows = (X - m[k]) @ precision
        d_mean[k] = share[k] @ rows / len(X)
        outer = (rows * share[k][:, None]).T @ rows / len(X)
        d_cov[k] = 0.5 * (outer - counts[k] * precision)
    return total.mean(), counts / w, d_mean, d_cov


class Coupled:
    """The coupled objective as a function of one flat vector."""

    def __init__(
        self,
        X0,
        X1,
        n_components,
        transport_weight,
        reg=0.0,
        reg_m=None,
        *,
        scale=1.0,
        diagonal=False,
        frozen=None,
        frozen_mixture=None,
    ):
        self.data = X0, X1
        self.weight, self.reg, self.reg_m = transport_weight, reg, reg_m
        self.scale, self.diagonal = scale, diagonal
        self.frozen = {None: None, "source": 0, "target": 1}[frozen]
        self.frozen_mixture = frozen_mixture
        k0, k1 = self.sizes = n_components
        d = X0.shape[1]
        self.variables = Variables(
            plan=(k0, k1), a=(k0,), b=(k1,),
            m0=(k0, d), m1=(k1, d), l0=(k0, d, d), l1=(k1, d, d),
        )  # fmt: skip

    def unpack(self, x):
        """Plan, source and target of a flat vector."""
        v = self.variables.split(x)
        sides = []
        for side, (logits, m, lower) in enumerate(
            [(v["a"], v["m0"], v["l0"]), (v["b"], v["m1"], v["l1"])]
        ):
            if side == self.frozen:
                sides.append(self.frozen_mixture)
                continue
            w = np.exp(logits - logsumexp(logits))
            factors = [_factor(rows, self.diagonal) for rows in lower]
            sides.append((w, m, np.array([f @ f.T for f in factors])))
        logits = v["plan"]
        if self.reg_m is not None:
            plan = np.exp(logits)
        elif self.frozen is None:
            plan = np.exp(logits - logsumexp(logits))
        else:
            axis = 1 - self.frozen
            fixed = np.expand_dims(self.frozen_mixture[0], axis)
            plan = fixed * np.exp(logits - logsumexp(logits, axis=axis, keepdims=True))
        if self.reg_m is None:
            for side in {0, 1} - {self.frozen}:
                sides[side] = (plan.sum(1 - side), *sides[side][1:])
        return plan, sides[0], sides[1]

    def loss(self, x):
        """Minus the objective and its gradient."""
        v = self.variables.split(x)
        plan, *sides = self.unpack(x)
        value, d_plan, d_sides = self._transport(plan, sides)
        value, d_plan = -self.weight * value, -self.weight * d_plan
        gradient = {name: np.zeros(s) for name, s in self.variables.shapes.items()}
        for side in (0, 1):
            likelihood, *slopes = _likelihood_gradients(self.data[side], sides[side])
            value += likelihood
            if side == self.frozen:
                continue
            d_w, d_m, d_c = (
                s - self.weight * t for s, t in zip(slopes, d_sides[side], strict=True)
            )
            w = sides[side][0]
            if self.reg_m is None:
                d_plan = d_plan + np.expand_dims(d_w, 1 - side)
            else:
                gradient["ab"[side]] = w * (d_w - w @ d_w)
            gradient[f"m{side}"] = d_m
            for k, lower in enumerate(v[f"l{side}"]):
                gradient[f"l{side}"][k] = _factor_gradient(
                    d_c[k], _factor(lower, self.diagonal), self.diagonal
                )
        gradient["plan"] = self._plan_gradient(plan, d_plan)
        return -value, -self.variables.join(gradient)

    def _transport(self, plan, sides):
        # Value at this plan; derivatives in the plan, and in both mixtures.
        (a, m0, c0), (b, m1, c1) = sides
        table = np.empty_like(plan)
        slopes = [[np.zeros_like(part) for part in side] for side in sides]
        for k in range(len(a)):
            for j in range(len(b)):
                bures, left, right = _pair(c0[k], c1[j])
                shift, mass = m0[k] - m1[j], plan[k, j] / self.scale
                table[k, j] = (shift @ shift + bures) / self.scale
                slopes[0][1][k] += 2 * mass * shift
                slopes[1][1][j] -= 2 * mass * shift
                slopes[0][2][k] += mass * left
                slopes[1][2][j] += mass * right
        value = transport_value(plan, table, a, b, self.reg, self.reg_m)
        d_plan = table.copy()
        rows, columns = plan.sum(1), plan.sum(0)
        if self.reg > 0:
            d_plan += self.reg * np.log(np.maximum(plan, 1e-300) / np.outer(a, b))
            slopes[0][0] += self.reg * (1 - rows / a)
            slopes[1][0] += self.reg * (1 - columns / b)
        if self.reg_m is not None:
            d_plan += self.reg_m[0] * np.log(rows / a)[:, None]
            d_plan += self.reg_m[1] * np.log(columns / b)
            slopes[0][0] += self.reg_m[0] * (1 - rows / a)
            slopes[1][0] += self.reg_m[1] * (1 - columns / b)
        return value, d_plan, slopes

    def _plan_gradient(self, plan, slope):
        if self.reg_m is not None:
            return plan * slope
        if self.frozen is None:
            return plan * (slope - np.sum(plan * slope))
        axis = 1 - self.frozen
        mass = plan.sum(axis, keepdims=True)
        return plan * (slope - np.sum(plan * slope, axis=axis, keepdims=True) / mass)

    def start(self, rng):
        """Flat vector of a random start: means at rows, covariances of the sample."""
        parts = {"plan": 0.1 * rng.standard_normal(self.sizes)}
        parts["plan"] -= logsumexp(parts["plan"])
        for side, X in enumerate(self.data):
            size, d = self.sizes[side], X.shape[1]
            spread = 10.0 ** rng.uniform(-1.5, 0.0)
            lower = np.linalg.cholesky(spread * np.atleast_2d(np.cov(X.T)))
            free = np.tril(lower, -1) + np.diag(np.log(np.diag(lower)))
            parts["ab"[side]] = np.zeros(size)
            parts[f"m{side}"] = X[rng.choice(len(X), size, replace=False)]
            parts[f"l{side}"] = np.broadcast_to(free, (size, d, d))
        return self.variables.join(parts)

    def _bounded_loss(self, x):
        # Where a step goes too far to be evaluated, the line search has to turn back.
        try:
            return self.loss(x)
        except np.linalg.LinAlgError:
            return 1e6, np.zeros_like(x)

    def _singular(self, x):
        for X, (_, _, covariances) in zip(self.data, self.unpack(x)[1:], strict=True):
            least = 1e-6 * np.linalg.eigvalsh(np.atleast_2d(np.cov(X.T)))[0]
            if np.linalg.eigvalsh(covariances).min() < least:
                return True
        return False

    def _stop_if_singular(self, intermediate_result):
        if self._singular(intermediate_result.x):
            raise StopIteration

    def fit(self, n_restarts=10, seed=0, max_iter=3000):
        """Best of several restarts: (objective, source, target, plan).

        Restarts that end at a singular component, where the likelihood has no bound,
        do not count.
        """
        found, options = [], {"maxiter": max_iter, "maxfun": 2 * max_iter}
        options |= {"maxcor": 30, "ftol": 1e-14, "gtol": 1e-9}
        for restart in range(4 * n_restarts):
            start = self.start(np.random.default_rng((seed, restart)))
            result = minimize(
                self._bounded_loss, start, jac=True, method="L-BFGS-B",
                options=options, callback=self._stop_if_singular,
            )  # fmt: skip
            if not self._singular(result.x):
                found.append(result)
            if len(found) == n_restarts:
                break
        if not found:
            raise RuntimeError("every restart ended at a singular component")
        best = min(found, key=lambda result: result.fun)
        plan, source, target = self.unpack(best.x)
        return -best.fun, source, target, plan
