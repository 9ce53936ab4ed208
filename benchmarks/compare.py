"""Time two revisions side by side: python -m benchmarks.compare main HEAD.

Each revision is checked out in a worktree of its own and is measured by the harness
of the present checkout, in turns. It fails where a whole measurement is slower by both
15 % and 50 ms (peak memory: larger by both 15 % and 50 MB), or what --percent and
--least say: on a machine without other work 5 % can be told.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median

from benchmarks._machine import git
from benchmarks._records import PROJECT
from benchmarks._sections import chosen
from benchmarks._tables import figure, spread, table, title
from benchmarks._worker import Failed, Worker, usable_cores
from benchmarks.peers import case_name, narrowed

_IN_UNITS = {"s": 1e-3, "MB": 1.0}  # of what --least is given in


@contextmanager
def worktree(revision):
    """A folder with the files of a revision."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "tree"
        git("worktree", "add", "--detach", str(folder), revision)
        try:
            yield folder
        finally:
            git("worktree", "remove", "--force", str(folder))


def _measured(name, case, folders, arguments, repeat):
    """(figures of BASE, figures of HEAD), whole measurements, and units in one."""
    with ExitStack() as stack:
        workers = []
        for folder in folders:
            worker = Worker(name, PROJECT, case, arguments.threads, folder)
            workers.append(stack.enter_context(closing(worker)))
        turns = [[worker.run() for worker in workers] for _ in range(repeat)]
        return *zip(*turns, strict=True), workers[0].prepared["per"]


def is_slower(base, head, unit, arguments):
    """Whether medians differ by more than both limits."""
    base, head = median(base), median(head)
    relative, absolute = arguments.percent / 100.0, arguments.least * _IN_UNITS[unit]
    return head > (1.0 + relative) * base and head > base + absolute


def report(name, section, folders, arguments):
    """Print the table of a section; return how many cases are slower."""
    rows, n_slower = [], 0
    for case in section.cases:
        print(f"{name}: {case}", file=sys.stderr)
        repeat = min(arguments.repeat, section.repeat or arguments.repeat)
        try:
            base, head, per = _measured(name, case, folders, arguments, repeat)
        except Failed as error:  # a revision without the function, for instance
            rows.append([case_name(case), "", "", "", f"not measured: {error}"])
            continue
        slower = is_slower(base, head, section.unit, arguments)
        n_slower += slower
        figures = (figure(median(runs) / per, section.unit) for runs in (base, head))
        ratios = [b / a for a, b in zip(base, head, strict=True)]
        verdict = "SLOWER" if slower else "ok"
        rows.append([case_name(case), *figures, spread(ratios), verdict])
    print(title(section.title))
    print(table(["case", "BASE", "HEAD", "HEAD / BASE", "verdict"], rows), flush=True)
    return n_slower


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", metavar="BASE")
    parser.add_argument("head", metavar="HEAD")
    parser.add_argument("--only", help="sections, with commas between them")
    parser.add_argument("--cases", help="parts of names of cases, with | between")
    parser.add_argument("--repeat", type=int, default=5, help="turns of each revision")
    parser.add_argument("--percent", type=float, default=15.0, help="that is too slow")
    parser.add_argument("--least", type=float, default=50.0, help="ms or MB that count")
    parser.add_argument("--threads", type=int, default=usable_cores())
    arguments = parser.parse_args()
    sections = chosen(arguments.only)
    with worktree(arguments.base) as base, worktree(arguments.head) as head:
        counts = [
            report(
                name,
                narrowed(section, arguments.cases, PROJECT),
                (base, head),
                arguments,
            )
            for name, section in sections.items()
        ]
    if sum(counts):
        raise SystemExit(f"slower by {arguments.percent:g} % and more: {sum(counts)}")


if __name__ == "__main__":
    main()
