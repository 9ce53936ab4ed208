"""Write doc/benchmarks.rst from files of figures: python -m benchmarks.document.

The files are what --json of `benchmarks.peers`, `benchmarks.roofline`,
`benchmarks.scaling` and `benchmarks.number` wrote into benchmarks/figures. A section
that is in several files has a table for each.
"""

import json
from statistics import median

from benchmarks._records import PROJECT, ROOT
from benchmarks._sections import SECTIONS
from benchmarks._tables import title
from benchmarks.number import tabulated as agreement
from benchmarks.peers import case_name, machine, tabulated
from benchmarks.roofline import tables
from benchmarks.scaling import tabulated as scaling

_FIGURES = ROOT / "benchmarks" / "figures"
_PAGE = ROOT / "doc" / "benchmarks.rst"
_INTRODUCTION = """\
Every table is the output of ``python -m benchmarks.peers`` on one machine: library
and peer in turns, each in a process of its own, same data, same start, same cores. The
ratio is the peer's time over that of skgmmot: median, least and largest of the turns;
above 1 skgmmot is faster. ``benchmarks/README.rst`` tells how it is measured. The
machine was not alone with its work: ratios vary more than on a quiet one. Ratios of
compiled code depend on the processor: the two of the coupled fit against OTT were 56
and 67 on an Intel machine, where the table has 217 and 153.
"""


def _found():
    """(file, name of a section, results) by sections; files of other tables."""
    files = [json.loads(path.read_text()) for path in sorted(_FIGURES.glob("*.json"))]
    found = [
        (file, name, file["sections"][name])
        for name in SECTIONS
        for file in files
        if name in file.get("sections", {})
    ]
    rooflines, scalings, agreements = (
        [f for f in files if key in f] for key in ("parts", "scaling", "agreement")
    )
    return found, rooflines, scalings, agreements


def slower(found):
    """Cases in which a peer needs less time, in words."""
    for _, name, results in found:
        for result in results:
            libraries = dict(result["libraries"])
            own = libraries.pop(PROJECT)["runs"]
            for peer, entry in libraries.items():
                pairs = zip(own, entry["runs"], strict=True)
                ratio = median(theirs / ours for ours, theirs in pairs)
                if ratio < 1.0:
                    case = case_name(result["case"])
                    yield (
                        f"- {SECTIONS[name].title}, {case}: {peer} needs"
                        f" {ratio:.2f} times the time of skgmmot."
                    )


def page():
    """The whole page."""
    found, rooflines, scalings, agreements = _found()
    parts = [title("Benchmarks", "=").lstrip(), _INTRODUCTION]
    parts += [title("Where a peer is faster"), "\n".join(slower(found)) or "Nowhere."]
    last = None
    for file, name, results in found:
        whole = tabulated(SECTIONS[name], results)
        parts += [whole if name != last else whole[whole.index("\n=") :]]
        parts += [machine(file)]
        last = name
        if name == "number":
            parts += [x for f in agreements for x in (agreement(f), machine(f))]
    if rooflines:
        parts += [tables(rooflines[-1]), machine(rooflines[-1])]
    for file in scalings:
        parts += [scaling(file), machine(file)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    _PAGE.write_text(page(), encoding="utf-8")
