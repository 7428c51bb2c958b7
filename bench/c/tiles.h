/* Shared by fixed.c and fixed_network.c: sizes fixed at compile time, and products in tiles.

   Compile with -DTIMESTEPS= -DINPUTS= -DHIDDEN= -DOUTPUTS= -DBATCH= (the rows of a batch, or of a block of predict),
   -DROWS= and -DTILE_VECTORS= (rows and vectors of a tile, at most), -DPANEL_VECTORS= (vectors of a panel, at
   most), -DROW_VECTORS= (the same for a batch of one), -DCHUNK= (steps of one product for dWh), and the macros of
   cell.h.

   Columns are stored in panels of a few vectors, so every product reads its operands in memory order. A
   tile stays in registers from its first term to its tanh, slope or update. */
#include "cell.h"

enum {
    T = TIMESTEPS,
    I = INPUTS,
    H = HIDDEN,
    O = OUTPUTS,
    B = BATCH,
    VECTORS = (H + LANES - 1) / LANES,
    ONE = B == 1, /* a batch of one keeps whole rows in registers: panels as wide as these allow */
    MOST = ONE ? ROW_VECTORS : PANEL_VECTORS,
    PANELS = (VECTORS + MOST - 1) / MOST,
    PV = (VECTORS + PANELS - 1) / PANELS,
    PV_LAST = VECTORS - (PANELS - 1) * PV,
    PANEL = PV * LANES,
    HP = PANELS * PANEL,
    H_LAST = H - (PANELS - 1) * PANEL,
    SUMS = 32 /* vectors of a tile, at most */
};

/* sums (R, V) += a w over K terms; a's rows are `ar` apart and its terms `ak`, those of w `wk` */
INLINE void add(const int R, const int V, vec *sums, const real *a, const long ar, const long ak, const real *w,
                const long wk, const int K)
{
#pragma GCC unroll 1
    for (int k = 0; k < K; k++, a += ak, w += wk) {
        vec u[SUMS];
#pragma GCC unroll 32
        for (int v = 0; v < V; v++) u[v] = LOAD(w + v * LANES);
#pragma GCC unroll 32
        for (int r = 0; r < R; r++) {
            const real term = a[r * ar];
#pragma GCC unroll 32
            for (int v = 0; v < V; v++) sums[r * V + v] += term * u[v];
        }
    }
}

/* sums += rows of all panels times w (H, PANEL); a: the first row in the first panel, `panel` numbers from the next */
INLINE void add_panels(const int R, const int V, vec *sums, const real *a, const long panel, const real *w)
{
    for (int p = 0; p < PANELS - 1; p++) add(R, V, sums, a + p * panel, PANEL, 1, w + p * PANEL * PANEL, PANEL, PANEL);
    add(R, V, sums, a + (PANELS - 1) * panel, PANEL, 1, w + (PANELS - 1) * PANEL * PANEL, PANEL, H_LAST);
}

/* g += a' d for R rows of a weight's gradient, K terms; on the last call the step w -= rate * clip(g) instead. `stride`
   is that of the rows of g, w and d. */
INLINE void gradient_tile(const int R, const int V, real *g, real *w, const long stride, const real *a, long ak,
                          const real *dq, int K, int first, int final)
{
    vec sums[SUMS];
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int v = 0; v < V; v++) sums[r * V + v] = first ? (vec){0} : LOAD(g + r * stride + v * LANES);
    add(R, V, sums, a, 1, ak, dq, stride, K);
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int v = 0; v < V; v++) {
            const long at = r * stride + v * LANES;
            if (final) STORE(w + at, stepped(LOAD(w + at), sums[r * V + v]));
            else STORE(g + at, sums[r * V + v]);
        }
}

/* tile(R, V, row) for `rows` rows, in tiles of at most ROWS whose sizes differ by one at most */
#define EVENLY(rows, tile, V)                                                                                      \
    do {                                                                                                           \
        enum {                                                                                                     \
            tiles = ((rows) + ROWS - 1) / ROWS,                                                                    \
            large = ((rows) + tiles - 1) / tiles,                                                                  \
            larges = (rows) - tiles * (large - 1)                                                                  \
        };                                                                                                         \
        int row = 0;                                                                                               \
        for (int i = 0; i < larges; i++, row += large) tile(large, V, row);                                        \
        for (int i = larges; i < tiles; i++, row += large - 1) tile(large - 1, V, row);                            \
    } while (0)

/* group(V, q, j): all columns of all panels, `most` vectors at a time and then what is left of a panel */
#define COLUMNS(group, most)                                                                                       \
    do {                                                                                                           \
        for (int q = 0; q < PANELS; q++) {                                                                         \
            const int vectors = q < PANELS - 1 ? PV : PV_LAST;                                                     \
            int j = 0;                                                                                             \
            for (; j + most * LANES <= vectors * LANES; j += most * LANES) group(most, q, j);                      \
            if (PV % most && q < PANELS - 1) group(PV % most, q, j);                                               \
            if (PV_LAST % most && q == PANELS - 1) group(PV_LAST % most, q, j);                                    \
        }                                                                                                          \
    } while (0)
