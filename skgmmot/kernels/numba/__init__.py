"""The primitives compiled for the CPU by Numba, and how their files fit together.

A picture in words. Write the rows of X under each other, as a tall sheet of paper.

- A **range** is a strip cut across the sheet, a few thousand rows. Threads take strips
  one by one and keep sums of their own, which are added in the order of the strips. The
  cuts depend on the size of the problem alone: results have the same bits for every
  number of threads.
- A **tile** is a slice of 128 rows of a strip, laid on its side: d lines of 128
  numbers, one line a feature. What is computed of it, a line of 128 log densities for
  each component, fits the nearest cache. Every inner loop runs along a line.
- A **lane** is one place in a vector register. A register lies on a line like a short
  ruler and covers 4, 8 or 16 rows, one a lane; one instruction treats them all, and
  steps along the line until the tile is done.

::

    X   strip 0 | ....................
        strip 1 | [tile][tile][tile]..      a thread works through one strip
                     |
                     v   turned on its side
        feature 0   [lane lane lane lane|lane lane ...  128 rows]
        feature 1   [lane lane lane lane|lane lane ...          ]

An **emitter** is a Python function, named ``_emit_...``, that writes the instructions
of one operation on a tile in LLVM's language by means of `_emitter.Emitter`, for loops
that a compiler does not turn into vectors well. Each operation has a NumPy twin beside
it, which says what it does, stands in for it where Numba does not compile, and is what
tests compare it with.

The files, each of which imports those above it only::

    _constants       sizes of tiles and lanes
    _numba_private   what Numba does not document
    _emitter         vocabulary of emitters
    _emit_rows, _emit_densities, _emit_elementary, _emit_sums, _emit_maps
    _tiles           arithmetic on one tile
    _records         what travels between compiled functions
    _ranges, _maps   work on one range
    _primitives      what the package calls: cuts ranges, shares them, adds up

What they compute is told in formulas by their readable twin, `kernels._namespace`.
"""

from skgmmot.kernels.numba._primitives import (
    apply_maps,
    apply_selected,
    draw_labels,
    fourth_moment,
    given_moments,
    labels,
    log_density,
    moments,
    nearest,
    posteriors,
)

__all__ = [
    "apply_maps",
    "apply_selected",
    "draw_labels",
    "fourth_moment",
    "given_moments",
    "labels",
    "log_density",
    "moments",
    "nearest",
    "posteriors",
]
