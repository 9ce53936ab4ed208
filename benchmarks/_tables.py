"""Figures as text, and tables that read well as plain text and as reStructuredText."""

import math
from statistics import median


def figure(value, unit):
    """A time or an amount of memory with three digits."""
    if unit == "MB":
        return f"{value:.0f} MB"
    if value >= 10.0:
        return f"{value:.1f} s"
    milliseconds = 1e3 * value
    digits = max(0, 2 - math.floor(math.log10(max(milliseconds, 1e-3))))
    return f"{milliseconds:.{digits}f} ms"


def spread(ratios):
    """Median, least and largest ratio; one number alone where there is but one."""
    digits = 0 if median(ratios) >= 20 else 1 if median(ratios) >= 3 else 2
    low, mid, high = (
        f"{x:.{digits}f}" for x in (min(ratios), median(ratios), max(ratios))
    )
    return mid if len(ratios) == 1 else f"{mid} ({low} to {high})"


def number(value):
    """The figure that results are compared by."""
    return "" if value is None or math.isnan(value) else f"{value:.5g}"


def table(header, rows):
    """A simple table of reStructuredText."""
    cells = [list(map(str, row)) for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "  ".join("=" * width for width in widths)

    def line(row):
        padded = (text.ljust(w) for text, w in zip(row, widths, strict=True))
        return "  ".join(padded).rstrip()

    head, *body = (line([text or "\\ " for text in row[:1]] + row[1:]) for row in cells)
    return "\n".join([rule, head, rule, *body, rule])


def title(text, sign="-"):
    """A heading."""
    return f"\n{text}\n{sign * len(text)}\n"
