"""All sections by the names that the command line knows."""

from benchmarks._sections_bound import BOUND
from benchmarks._sections_cluster import CLUSTER
from benchmarks._sections_cluster_memory import CLUSTER_MEMORY
from benchmarks._sections_course import COURSE
from benchmarks._sections_em import EM, EM_SINGLE, SCORE, SCORE_SINGLE
from benchmarks._sections_fits import COUPLED, SPIRAL
from benchmarks._sections_number import NUMBER
from benchmarks._sections_onedal import ONEDAL
from benchmarks._sections_process import FIRST_FIT, MEMORY, STARTUP
from benchmarks._sections_small import SMALL
from benchmarks._sections_spark import SPARK
from benchmarks._sections_toolbox import BARYCENTER, FLOW, GRADIENT, PAIRWISE
from benchmarks._sections_transport import COSTS, MAPS, PLANS

SECTIONS = {
    "em": EM,
    "em32": EM_SINGLE,
    "onedal": ONEDAL,
    "score": SCORE,
    "score32": SCORE_SINGLE,
    "bound": BOUND,
    "spiral": SPIRAL,
    "number": NUMBER,
    "coupled": COUPLED,
    "costs": COSTS,
    "maps": MAPS,
    "plans": PLANS,
    "pairwise": PAIRWISE,
    "gradient": GRADIENT,
    "flow": FLOW,
    "barycenter": BARYCENTER,
    "small": SMALL,
    "startup": STARTUP,
    "firstfit": FIRST_FIT,
    "memory": MEMORY,
    "cluster": CLUSTER,
    "clustermemory": CLUSTER_MEMORY,
    "spark": SPARK,
    "course": COURSE,
}


def chosen(names):
    """The sections of a list of names with commas between them, all for None."""
    names = list(SECTIONS) if names is None else names.split(",")
    unknown = set(names) - set(SECTIONS)
    if unknown:
        raise SystemExit(f"no section {sorted(unknown)}; there are {list(SECTIONS)}")
    return {name: SECTIONS[name] for name in names}
