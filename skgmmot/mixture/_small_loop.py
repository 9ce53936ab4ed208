"""The compiled loop of `_small`."""

from skgmmot._jit import allocating_kernel
from skgmmot.kernels.numba import _ranges
from skgmmot.linalg import _forms

COLLAPSED, GOES_ON, SETTLED = -1, 0, 1


@allocating_kernel
def iterate(rows, mixture, densities, parts, reg_covar, room, control, objectives):
    """Steps of EM from a mixture (IN, OUT); how many, and how they ended.

    Objectives (OUT) are those before each step. The rest is room.
    """
    x, sample_weight = rows
    weights, means, covariances, factors = mixture
    offsets, whiteners = densities
    safe, room_of_factors = room
    mass, tol, previous = control
    fields, bounds = (offsets, means, whiteners, 0.0), (0, len(x))
    counts, firsts, seconds = parts[1][0], parts[2][0], parts[3][0]
    for step in range(len(objectives)):
        _forms.densities_of(weights, factors, offsets, whiteners)
        _ranges.moments(x, sample_weight, bounds, fields, False, 0, parts)
        objectives[step] = parts[0][0] / mass
        change = objectives[step] - previous
        previous = objectives[step]
        _forms.add_least(counts, safe)
        _forms.covariances_of(safe, firsts, seconds, reg_covar, covariances)
        if not _forms.factorise(covariances, factors, room_of_factors):
            return step, COLLAPSED
        _forms.move(safe, firsts, weights, means)
        if abs(change) < tol:
            return step + 1, SETTLED
    return len(objectives), GOES_ON
