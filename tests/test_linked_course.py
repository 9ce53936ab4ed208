"""A course of known lineages in 20 dimensions: what links bring, and what they tell."""

import numpy as np
import pytest

from skgmmot import LinkedGaussianMixture
from skgmmot.datasets import make_time_course

SETTING = {"reg_m": 1.0, "random_state": 0}  # one for all kinds


@pytest.fixture(name="course", params=["stable", "growing", "replaced"])
def fixture_course(request):
    return make_time_course(
        1500, n_features=20, kind=request.param, random_state=0
    ), request.param


def fitted(course, left_out=None, **setting):
    kept = course.sample_domain != left_out
    sizes = {
        time: len(found)
        for time, found in zip(course.times.tolist(), course.populations, strict=True)
        if time != left_out
    }
    fit = LinkedGaussianMixture(sizes, **setting)
    return fit.fit(course.X[kept], sample_domain=course.sample_domain[kept])


def lineages(fit, course):
    """The lineages of the population that each component of each time is."""
    found = []
    for label, mixture in zip(fit.domains_, fit.mixtures_, strict=True):
        rows = course.sample_domain == label
        labels, lineage = mixture.predict(course.X[rows]), course.lineage[rows]
        counts = [
            np.bincount(lineage[labels == k], minlength=5)
            for k in range(labels.max() + 1)
        ]
        groups = course.populations[int(label)]
        found.append([next(g for g in groups if c.argmax() in g) for c in counts])
    return found


def test_populations_that_link_belong_together(course):
    course, kind = course
    fit = fitted(course, **SETTING)
    who = lineages(fit, course)
    wrong = total = 0.0
    for link, plan in zip(fit._links, fit.couplings_, strict=True):
        for (k, column), mass in np.ndenumerate(plan):
            total += mass
            wrong += mass * (
                not set(who[link.first][k]) & set(who[link.second][column])
            )
    assert wrong < 0.02 * total
    if kind != "replaced":
        assert max(part.max() for part in fit.deaths_) < 0.3
        return
    # Lineage 3 dies from time 2 to 3, lineage 4 is new at time 2.
    place = fit.links_.index((2.0, 3.0))
    deaths = dict(zip(who[2], fit.deaths_[place], strict=True))
    assert max(deaths, key=deaths.get) == (3,)
    assert deaths[3,] > 0.5
    place = fit.links_.index((1.0, 2.0))
    births = dict(zip(who[2], fit.births_[place], strict=True))
    assert max(births, key=births.get) == (4,)
    assert births[4,] > 0.5


def test_a_time_that_was_left_out_is_found_better_than_without_links(course):
    course, kind = course
    rows = course.X[course.sample_domain == 2]
    errors = [
        -fitted(course, 2, **setting).score_holdout(rows, 2.0, metric="sliced")
        for setting in (SETTING, {"transport_weight": 0.0, "random_state": 0})
    ]
    most = {"stable": 1.05, "growing": 0.85, "replaced": 0.92}[kind]
    assert errors[0] < most * errors[1]


def test_a_branch_that_goes_far_is_no_birth():
    # Between times 0 and 2 a branch goes almost as far as populations are apart.
    course = make_time_course(1500, n_features=20, kind="stable", random_state=0)
    rows = course.X[course.sample_domain == 1]
    balanced, unbalanced = (
        -fitted(course, 1, reg_m=reg_m, random_state=0).score_holdout(
            rows, 1.0, metric="sliced"
        )
        for reg_m in (None, 1.0)
    )
    assert unbalanced < 1.15 * balanced
