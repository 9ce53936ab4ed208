"""Sizes that all compiled files share, and where numbers are cut."""

TILE = 128  # rows of a tile
WIDE = 16  # lanes of float64 where constants are many and values few
GROUP = WIDE  # rows that are centred together in float32; half as many in float64
ROWS_PER_MASK = WIDE  # rows whose bits one mask of live rows holds
FEW = 8  # features up to which sums of outer products are held in registers

LARGEST = 1e300  # squared distances are cut here, so that densities stay finite
LARGEST_SINGLE = 1e37
NEGLIGIBLE = 1e-20  # a responsibility below this is 0 to the rounding of any sum
LN2_HIGH = 6.93145751953125e-1  # 15 bits: its multiples are exact, also in float32
LN2_LOW = 1.42860682030941723212e-6
