/* c-fixed: batched BPTT in C, with sizes fixed at compile time and without a library.

   Compile with the macros of tiles.h, and -DPREDICT for predict. */
#include "tiles.h"

enum {
#ifdef PREDICT
    STATES = 2
#else
    STATES = T + 1
#endif
};

static real (*h)[STATES][B][PANEL];
static real (*d)[T][B][PANEL]; /* da */
static real (*W)[HP][PANEL], (*Wt)[HP][PANEL], (*G)[HP][PANEL]; /* Wh, its transpose, its gradient */
static real (*Wx)[I + 1][PANEL], (*Gx)[I + 1][PANEL];           /* the last row is the bias */
static real *Wy, *by, *last, *dlast;                            /* (O, HP), (O), (B, HP), (B, HP) */

/* `add` for one row. Even and odd terms have separate sums, because fewer than 8 sums would wait for the latency of
   their multiply-adds. */
INLINE void add_row(const int V, vec *sums, const real *a, const long ak, const real *w, const long wk, const int K)
{
    if (V >= 8) {
        add(1, V, sums, a, 0, ak, w, wk, K);
        return;
    }
    vec odd[SUMS] = {0};
#pragma GCC unroll 1
    for (int k = 0; k + 2 <= K; k += 2, a += 2 * ak, w += 2 * wk) {
#pragma GCC unroll 32
        for (int v = 0; v < V; v++) {
            sums[v] += a[0] * LOAD(w + v * LANES);
            odd[v] += a[ak] * LOAD(w + wk + v * LANES);
        }
    }
#pragma GCC unroll 32
    for (int v = 0; v < V; v++) {
        if (K % 2) sums[v] += a[0] * LOAD(w + v * LANES);
        sums[v] += odd[v];
    }
}

/* to = tanh(x Wx + b + from W) for R rows of panel q from column j on; the rows of x are `xr` apart */
INLINE void forward_tile(const int R, const int V, int q, int j, real *to, const real *from, long panel, const real *x, long xr)
{
    vec sums[SUMS];
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int v = 0; v < V; v++) sums[r * V + v] = LOAD(&Wx[q][I][j + v * LANES]);
    add(R, V, sums, x, xr, 1, &Wx[q][0][j], PANEL, I);
    if (from) add_panels(R, V, sums, from, panel, &W[q][0][j]);
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int v = 0; v < V; v++) STORE(to + r * PANEL + v * LANES, tanh_of(sums[r * V + v]));
}

/* to = (from W') (1 - states^2) for R rows of panel q from column j on */
INLINE void backward_tile(const int R, const int V, int q, int j, real *to, const real *from, const real *states)
{
    vec sums[SUMS] = {0};
    add_panels(R, V, sums, from, T * B * PANEL, &Wt[q][0][j]);
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int v = 0; v < V; v++) {
            const vec s = LOAD(states + r * PANEL + v * LANES);
            STORE(to + r * PANEL + v * LANES, sums[r * V + v] * (1 - s * s));
        }
}

/* h[.][to] of B rows of x, `xr` apart, from h[.][from] (from < 0: from zero) */
static void forward(int from, int to, const real *x, long xr)
{
#define TILE(R, V, row) \
    forward_tile(R, V, q, j, &h[q][to][row][j], from < 0 ? 0 : h[0][from][row], STATES * B * PANEL, x + row * xr, xr)
#define GROUP(V, q, j) EVENLY(B, TILE, V)
    COLUMNS(GROUP, TILE_VECTORS);
#undef GROUP
#undef TILE
}

/* the states after step t as rows, for the output layer */
static void gather(int t)
{
    for (int q = 0; q < PANELS; q++)
        for (int b = 0; b < B; b++) memcpy(last + b * HP + q * PANEL, h[q][t][b], sizeof h[q][t][b]);
}

#ifdef PREDICT

void predict(real *y, const real *x, int N)
{
    for (int n = 0; n < N; n += B) {
        const int at = n + B <= N ? n : N - B; /* the last block overlaps the one before */
        for (int t = 0; t < T; t++) forward(t ? t % 2 : -1, (t + 1) % 2, x + ((long)at * T + t) * I, (long)T * I);
        gather(T % 2);
        outputs(y + (long)at * O, last, Wy, by, B, O, HP);
    }
}

#else

/* h[.][t + 1] from h[.][t] for one row, whose sums stay in registers. Even steps read W forwards and odd steps
   backwards, so that each reads the cached part first. */
INLINE void forward_panel(const int V, int q, int t, const real *x)
{
    vec sums[SUMS];
#pragma GCC unroll 32
    for (int v = 0; v < V; v++) sums[v] = LOAD(&Wx[q][I][v * LANES]);
    add(1, V, sums, x, 0, 1, Wx[q][0], PANEL, I);
    for (int n = 0; t && n < PANELS; n++) {
        const int p = t % 2 ? PANELS - 1 - n : n, K = p < PANELS - 1 ? PANEL : H_LAST, end = p * PANEL + K - 1;
        if (t % 2) add_row(V, sums, h[p][t][0] + K - 1, -1, W[q][end], -PANEL, K);
        else add_row(V, sums, h[p][t][0], 1, W[q][p * PANEL], PANEL, K);
    }
#pragma GCC unroll 32
    for (int v = 0; v < V; v++) STORE(h[q][t + 1][0] + v * LANES, tanh_of(sums[v]));
}

static void forward_row(int t, const real *x)
{
    for (int n = 0; n < PANELS; n++) {
        const int q = t % 2 ? PANELS - 1 - n : n;
        if (q < PANELS - 1) forward_panel(PV, q, t, x);
        else forward_panel(PV_LAST, q, t, x);
    }
}

/* d[.][t - 1] from d[.][t] for one row: dot products with the rows of W, four at a time; W as in forward_panel */
static void backward_row(int t)
{
    for (int n = 0; n < H; n += 4) {
        const int k = t % 2 ? n : (H - 1) / 4 * 4 - n;
        vec sums[4] = {{0}};
        for (int q = 0; q < PANELS; q++)
#pragma GCC unroll 32
            for (int v = 0; v < PV; v++) {
                const vec a = LOAD(d[q][t][0] + v * LANES);
#pragma GCC unroll 4
                for (int r = 0; r < 4; r++) sums[r] += a * LOAD(W[q][k + r] + v * LANES);
            }
        sum_four(dlast + k, sums);
    }
    for (int q = 0; q < PANELS; q++)
#pragma GCC unroll 32
        for (int v = 0; v < PV; v++) {
            const vec s = LOAD(h[q][t][0] + v * LANES);
            STORE(d[q][t - 1][0] + v * LANES, LOAD(dlast + q * PANEL + v * LANES) * (1 - s * s));
        }
}

static void backward(int t)
{
    if (ONE) {
        backward_row(t);
        return;
    }
#define TILE(R, V, row) backward_tile(R, V, q, j, &d[q][t - 1][row][j], d[0][t][row], &h[q][t][row][j])
#define GROUP(V, q, j) EVENLY(B, TILE, V)
    COLUMNS(GROUP, TILE_VECTORS);
#undef GROUP
#undef TILE
}

/* the gradients' terms of steps low to high - 1, V vectors from column j of panel q on; after the last, the update */
INLINE void gradients(const int V, int q, int j, int low, int high, const real *x)
{
    const int first = high == T, final = low == 0, from = low ? low : 1; /* h[.][0] is zero */
    const int K = (high - from) * B;
#define TILE(R, V, row) \
    gradient_tile(R, V, &G[q][p * PANEL + row][j], &W[q][p * PANEL + row][j], PANEL, h[p][from][0] + row, \
                  PANEL, d[q][from][0] + j, K, first, final)
    for (int p = 0; p < PANELS - 1; p++) EVENLY(PANEL, TILE, V);
    const int p = PANELS - 1;
    EVENLY(H_LAST, TILE, V);
#undef TILE
#define TILE(R, V, row) \
    gradient_tile(R, V, &Gx[q][row][j], &Wx[q][row][j], PANEL, x + (long)low * B * (I + 1) + row, I + 1, \
                  d[q][low][0] + j, (high - low) * B, first, final)
    EVENLY(I + 1, TILE, V);
#undef TILE
}

static void all_gradients(int low, int high, const real *x)
{
#define GROUP(V, q, j) gradients(V, q, j, low, high, x)
    COLUMNS(GROUP, TILE_VECTORS);
#undef GROUP
}

static void transpose(void)
{
    for (int q = 0; q < PANELS; q++)
        for (int p = 0; p < PANELS; p++)
            for (int c = 0; c < PANEL && q * PANEL + c < H; c++)
                for (int i = 0; i < PANEL && p * PANEL + i < H; i++)
                    Wt[q][p * PANEL + i][c] = W[p][q * PANEL + c][i];
}

/* x: batches of (T, B, I + 1), the last column 1; y (N, O) */
void train(const real *x, const real *y, int N)
{
    for (int n = 0; n < N; n += B, x += (long)T * B * (I + 1), y += B * O) {
        if (!ONE) transpose();
        for (int t = 0; t < T; t++) {
            const real *x_t = x + (long)t * B * (I + 1);
            if (ONE) forward_row(t, x_t);
            else forward(t ? t : -1, t + 1, x_t, I + 1);
        }
        gather(T);
        output_layer(dlast, Wy, by, last, y, B, O, HP);
        for (int q = 0; q < PANELS; q++)
            for (int b = 0; b < B; b++)
                for (int v = 0; v < PV; v++) {
                    const vec s = LOAD(h[q][T][b] + v * LANES);
                    STORE(d[q][T - 1][b] + v * LANES, LOAD(dlast + b * HP + q * PANEL + v * LANES) * (1 - s * s));
                }
        int high = T;
        for (int t = T - 1; t > 0; t--) {
            backward(t);
            if (high - t == CHUNK) all_gradients(t, high, x), high = t;
        }
        all_gradients(0, high, x);
    }
}

#endif

/* Copies the weights in, row by row. The first call allocates the buffers. */
void load(const real *Wx_, const real *Wh, const real *b, const real *Wy_, const real *by_)
{
    if (!h) {
        h = zeros(sizeof *h * PANELS), d = zeros(sizeof *d * PANELS);
        W = zeros(sizeof *W * PANELS), Wt = zeros(sizeof *W * PANELS), G = zeros(sizeof *W * PANELS);
        Wx = zeros(sizeof *Wx * PANELS), Gx = zeros(sizeof *Wx * PANELS);
        Wy = zeros(sizeof(real) * O * HP), by = zeros(sizeof(real) * O);
        last = zeros(sizeof(real) * B * HP), dlast = zeros(sizeof(real) * B * HP);
    }
    for (int j = 0; j < H; j++) {
        for (int i = 0; i < H; i++) W[j / PANEL][i][j % PANEL] = Wh[i * H + j];
        for (int i = 0; i < I; i++) Wx[j / PANEL][i][j % PANEL] = Wx_[i * H + j];
        Wx[j / PANEL][I][j % PANEL] = b[j];
        for (int o = 0; o < O; o++) Wy[o * HP + j] = Wy_[j * O + o];
    }
    memcpy(by, by_, sizeof(real) * O);
}

/* Copies the weights out, row by row. */
void store(real *Wx_, real *Wh, real *b, real *Wy_, real *by_)
{
    for (int j = 0; j < H; j++) {
        for (int i = 0; i < H; i++) Wh[i * H + j] = W[j / PANEL][i][j % PANEL];
        for (int i = 0; i < I; i++) Wx_[i * H + j] = Wx[j / PANEL][i][j % PANEL];
        b[j] = Wx[j / PANEL][I][j % PANEL];
        for (int o = 0; o < O; o++) Wy_[j * O + o] = Wy[o * HP + j];
    }
    memcpy(by_, by, sizeof(real) * O);
}
