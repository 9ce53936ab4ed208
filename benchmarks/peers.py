"""Time the project beside its peers: python -m benchmarks.peers [--only em,score]."""

import argparse
import json
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median

from benchmarks._machine import described
from benchmarks._records import PROJECT
from benchmarks._sections import chosen
from benchmarks._sections_em import describe
from benchmarks._tables import figure, number, spread, table, title
from benchmarks._worker import Failed, Worker, missing, usable_cores, versions


def case_name(case):
    """A case in words."""
    if "overlapping" in case:
        return describe(case)
    parts = (f"{x:,}" if isinstance(x, int) else str(x) for x in case.values())
    return ", ".join(f"{k}={v}" for k, v in zip(case, parts, strict=True))


def _started(stack, name, section, case, threads):
    """Workers by library, and what is to be said of those that cannot work."""
    workers, notes = {}, {}
    for library, entry in section.libraries.items():
        if not entry.does(case):
            continue
        if missing(entry):
            notes[library] = "not installed"
            continue
        try:
            worker = Worker(name, library, case, threads)
        except Failed as error:
            if library == PROJECT:
                raise
            notes[library] = f"failed: {error}"
            print(f"{library} {notes[library]}", flush=True)
        else:
            workers[library] = stack.enter_context(closing(worker))
    return workers, notes


def measure(name, section, case, threads, repeat):
    """Figures of all libraries on one case, taken in turns."""
    with ExitStack() as stack:
        workers, notes = _started(stack, name, section, case, threads)
        runs = {library: [] for library in workers}
        for _ in range(min(repeat, section.repeat or repeat)):
            for library, worker in workers.items():
                runs[library].append(worker.run() / worker.prepared["per"])
        return {
            "case": case,
            "notes": notes,
            "libraries": {
                library: {
                    "runs": runs[library],
                    "value": worker.ask("value")["value"],
                    **worker.prepared,
                }
                for library, worker in workers.items()
            },
        }


def rows_of(result, unit):
    """One row for each peer: both figures, their ratio, the values, first calls."""
    libraries = dict(result["libraries"])
    own = libraries.pop(PROJECT)
    name = case_name(result["case"])
    if not libraries and not result["notes"]:
        first = f"{own['first']:.1f} s"
        mine = figure(median(own["runs"]), unit)
        yield [name, "", mine, "", "", number(own["value"]), "", first, ""]
    for library, peer in libraries.items():
        ratios = [b / a for a, b in zip(own["runs"], peer["runs"], strict=True)]
        yield [
            name,
            library,
            figure(median(own["runs"]), unit),
            figure(median(peer["runs"]), unit),
            spread(ratios),
            number(own["value"]),
            number(peer["value"]),
            f"{own['first']:.1f} s",
            f"{peer['first']:.1f} s",
        ]
        name = ""
    for library, note in result["notes"].items():
        note, mine = note.partition(":")[0], figure(median(own["runs"]), unit)
        yield [name, library, mine, note, *[""] * 5]
        name = ""


def narrowed(section, cases, peers):
    """The section with the cases and the peers that were asked for."""
    libraries = {
        library: entry
        for library, entry in section.libraries.items()
        if library == PROJECT or peers is None or library in peers.split(",")
    }
    parts = [""] if cases is None else cases.split("|")
    kept = [x for x in section.cases if any(part in case_name(x) for part in parts)]
    return section._replace(cases=kept, libraries=libraries)


def tabulated(section, results):
    """The table of a section, with what is measured."""
    header = ["case", "peer", PROJECT, "the peer's", "ratio"]
    header += ["value", "the peer's", "first call", "the peer's"]
    rows = [row for result in results for row in rows_of(result, section.unit)]
    text = f"{section.text} Value: {section.value}."
    return f"{title(section.title)}\n{text}\n\n{table(header, rows)}"


def machine(found):
    """What the figures were measured on, in words."""
    packages = ", ".join(f"{k} {v}" for k, v in sorted(found["versions"].items()))
    return (
        f"{found['cpu']}, {found['cores']} cores, {found['threads']} threads, "
        f"{found['system']}, Python {found['python']}, commit {found['commit']}.\n"
        f"Versions: {packages}."
    )


def run(sections, arguments):
    """Measure, print a table after each section, keep every case in the file."""
    found = described(arguments.threads)
    for section in sections.values():
        for library in section.libraries.values():
            if not missing(library):
                found["versions"].update(versions(library))
    print(machine(found))
    found["sections"] = {}
    for name, section in sections.items():
        section = narrowed(section, arguments.cases, arguments.peers)
        results = found["sections"][name] = []
        for case in section.cases:
            print(f"{name}: {case}", file=sys.stderr)
            results.append(
                measure(name, section, case, arguments.threads, arguments.repeat)
            )
            if arguments.json:  # a long run that is stopped is not lost
                arguments.json.write_text(json.dumps(found, indent=1))
        print(tabulated(section, results), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="sections, with commas between them")
    parser.add_argument(
        "--cases", help="parts of names of cases, as printed, with | between"
    )
    parser.add_argument("--peers", help="libraries, with commas between them")
    parser.add_argument("--repeat", type=int, default=5, help="turns of each library")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    run(chosen(arguments.only), arguments)


if __name__ == "__main__":
    main()
