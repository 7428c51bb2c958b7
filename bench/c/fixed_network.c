/* c-fixed for networks of several layers, directions or outputs, and for tokens.

   Compile with the macros of tiles.h, -DLAYERS=, -DDIRECTIONS=, and 0 or 1 for -DEVERY= (an output at every step: one
   direction, O a multiple of LANES), -DTOKENS= and -DCLASSES=. B is more than 1.

   A term is one `add`. A state's sums have a term for each source of input and one for the state before; a state's
   gradient has one for its next step, one for each cell above and one for the output layer. */
#include "tiles.h"

enum { L = LAYERS, D = DIRECTIONS };

typedef real matrix[PANELS][HP][PANEL];

typedef struct {
    real (*h)[T + 1][B][PANEL]; /* by panel; state after time t at t + 1 forward, at t backward; the other end is zero */
    real (*d)[T][B][PANEL];     /* by panel: da */
    matrix *W, *Wt, *G;         /* Wh, its transpose, its gradient */
    matrix *Wx, *Wxt, *Gx;      /* above the first layer: of each direction below */
    real (*Wi)[I][PANEL], (*Gi)[I][PANEL]; /* Wx of the first layer, or the table of tokens, by panel */
    real (*b)[PANEL], (*Gb)[PANEL];
} cell;

static cell cells[L][D];
static real *Wy, *by, *last, *dlast;  /* one output: (O, D HP), (O), (B, D HP), (B, D HP) */
static real (*Wo)[O], (*Go)[O], *dby; /* EVERY: Wy (HP, O) and its gradient, by's */
static real (*Wot)[O][PANEL];         /* Wy' in panels */
static real (*z)[B][O];               /* (T): outputs, then their gradient */

static int after(int e, int t)
{
    return e ? t : t + 1;
}
static int before(int e, int t)
{
    return e ? t + 1 : t;
}

/* R rows of states at time t: columns from j on of panel q */
INLINE void forward_tile(const int R, const int V, int q, int j, int l, int e, int t, int row, const void *x)
{
    const cell *c = &cells[l][e];
    const int first = e ? t == T - 1 : t == 0;
    const int32_t *token = (const int32_t *)x + t * B + row;
    vec sums[SUMS];
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int v = 0; v < V; v++) {
            sums[r * V + v] = LOAD(&c->b[q][j + v * LANES]);
            if (TOKENS && !l) sums[r * V + v] += LOAD(&c->Wi[q][token[r]][j + v * LANES]);
        }
    if (!TOKENS && !l) add(R, V, sums, (const real *)x + (t * B + row) * I, I, 1, &c->Wi[q][0][j], PANEL, I);
    if (L > 1 && l)
        for (int i = 0; i < D; i++)
            add_panels(R, V, sums, cells[l - 1][i].h[0][after(i, t)][row], (T + 1) * B * PANEL, &c->Wx[i][q][0][j]);
    if (!first) add_panels(R, V, sums, c->h[0][before(e, t)][row], (T + 1) * B * PANEL, &c->W[0][q][0][j]);
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int v = 0; v < V; v++) STORE(&c->h[q][after(e, t)][row + r][j + v * LANES], tanh_of(sums[r * V + v]));
}

/* R rows of da at time t */
INLINE void backward_tile(const int R, const int V, int q, int j, int l, int e, int t, int row)
{
    const cell *c = &cells[l][e];
    const int final = e ? t == 0 : t == T - 1;
    vec sums[SUMS];
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int v = 0; v < V; v++)
            sums[r * V + v] = !EVERY && final && l == L - 1
                                  ? LOAD(dlast + (row + r) * D * HP + e * HP + q * PANEL + j + v * LANES)
                                  : (vec){0};
    if (EVERY && l == L - 1) add(R, V, sums, z[t][row], O, 1, &Wot[q][0][j], PANEL, O);
    if (L > 1 && l < L - 1)
        for (int i = 0; i < D; i++)
            add_panels(R, V, sums, cells[l + 1][i].d[0][t][row], T * B * PANEL, &cells[l + 1][i].Wxt[e][q][0][j]);
    if (!final) add_panels(R, V, sums, c->d[0][e ? t - 1 : t + 1][row], T * B * PANEL, &c->Wt[0][q][0][j]);
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int v = 0; v < V; v++) {
            const vec s = LOAD(&c->h[q][after(e, t)][row + r][j + v * LANES]);
            STORE(&c->d[q][t][row + r][j + v * LANES], sums[r * V + v] * (1 - s * s));
        }
}

static void forward(int l, int e, int t, const void *x)
{
#define TILE(R, V, row) forward_tile(R, V, q, j, l, e, t, row, x)
#define GROUP(V, q, j) EVENLY(B, TILE, V)
    COLUMNS(GROUP, TILE_VECTORS);
#undef GROUP
#undef TILE
}

static void backward(int l, int e, int t)
{
#define TILE(R, V, row) backward_tile(R, V, q, j, l, e, t, row)
#define GROUP(V, q, j) EVENLY(B, TILE, V)
    COLUMNS(GROUP, TILE_VECTORS);
#undef GROUP
#undef TILE
}

/* G += a' d, and W's step after the last call: a, K rows in panels `panel` apart; V vectors from column j of panel q */
INLINE void matrix_gradient(const int V, int q, int j, matrix *G, matrix *W, const real *a, long panel, const real *d,
                            int K, int first, int final)
{
#define TILE(R, V, row) \
    gradient_tile(R, V, &(*G)[q][p * PANEL + row][j], &(*W)[q][p * PANEL + row][j], PANEL, a + p * panel + row, PANEL, d, \
                  K, first, final)
    for (int p = 0; p < PANELS - 1; p++) EVENLY(PANEL, TILE, V);
    const int p = PANELS - 1;
    EVENLY(H_LAST, TILE, V);
#undef TILE
}

/* the gradients' terms of times low to high - 1, V vectors from column j of panel q on; after the last, the update */
INLINE void gradients(const int V, int q, int j, int l, int e, int low, int high, int first, int final, const void *x)
{
    const cell *c = &cells[l][e];
    const long panel = (T + 1) * B * PANEL;
    const int from = !e && low == 0 ? 1 : low, to = e && high == T ? T - 1 : high; /* not the zero state */
    matrix_gradient(V, q, j, c->G, c->W, c->h[0][before(e, from)][0], panel, c->d[q][from][0] + j, (to - from) * B, first,
                    final);
    const real *d = c->d[q][low][0] + j;
    const int K = (high - low) * B;
    if (L > 1 && l)
        for (int i = 0; i < D; i++)
            matrix_gradient(V, q, j, &c->Gx[i], &c->Wx[i], cells[l - 1][i].h[0][after(i, low)][0], panel, d, K, first, final);
    if (!TOKENS && !l) {
#define TILE(R, V, row) \
    gradient_tile(R, V, &c->Gi[q][row][j], &c->Wi[q][row][j], PANEL, (const real *)x + (long)low * B * I + row, I, d, K, \
                  first, final)
        EVENLY(I, TILE, V);
#undef TILE
    }
#pragma GCC unroll 32
    for (int v = 0; v < V; v++) {
        real *g = &c->Gb[q][j + v * LANES], *w = &c->b[q][j + v * LANES];
        vec sum = first ? (vec){0} : LOAD(g);
        for (int k = 0; k < K; k++) sum += LOAD(d + (long)k * PANEL + v * LANES);
        if (final) STORE(w, stepped(LOAD(w), sum));
        else STORE(g, sum);
    }
}

static void all_gradients(int l, int e, int low, int high, int first, int final, const void *x)
{
#define GROUP(V, q, j) gradients(V, q, j, l, e, low, high, first, final, x)
    COLUMNS(GROUP, TILE_VECTORS);
#undef GROUP
    if (TOKENS && !l)
        for (int q = 0; q < PANELS; q++)
            for (int k = low * B; k < high * B; k++)
                for (int v = 0; v < PANEL; v += LANES) {
                    real *g = &cells[l][e].Gi[q][((const int32_t *)x)[k]][v];
                    STORE(g, LOAD(g) + LOAD(cells[l][e].d[q][0][k] + v));
                }
}

#if EVERY

/* group(V, j): all columns of the outputs, TILE_VECTORS at a time and then the rest */
#define OUTPUT_COLUMNS(group)                                                                                      \
    do {                                                                                                           \
        enum { vectors = O / LANES, most = vectors < TILE_VECTORS ? vectors : TILE_VECTORS };                   \
        int j = 0;                                                                                                 \
        for (; j + most * LANES <= O; j += most * LANES) group(most, j);                                        \
        if (vectors % most) group(vectors % most, j);                                                              \
    } while (0)

INLINE void output_tile(const int R, const int V, int j, int t, int row)
{
    vec sums[SUMS] = {0};
    for (int p = 0; p < PANELS; p++)
        add(R, V, sums, cells[L - 1][0].h[p][t + 1][row], PANEL, 1, &Wo[p * PANEL][j], O, p < PANELS - 1 ? PANEL : H_LAST);
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int v = 0; v < V; v++) STORE(&z[t][row + r][j + v * LANES], sums[r * V + v]);
}

/* z = the gradient of the loss with respect to the outputs */
static void every_output(const void *y)
{
#define TILE(R, V, row) output_tile(R, V, j, t, row)
#define GROUP(V, j) EVENLY(B, TILE, V)
    for (int t = 0; t < T; t++) OUTPUT_COLUMNS(GROUP);
#undef GROUP
#undef TILE
    loss_gradient(z[0][0], dby, by, y, CLASSES ? y : 0, T * B, O);
}

/* Wy's gradient from times low to high - 1; after the last, the update */
static void output_gradients(int low, int high, int first, int final)
{
#define TILE(R, V, row) \
    gradient_tile(R, V, &Go[p * PANEL + row][j], &Wo[p * PANEL + row][j], O, cells[L - 1][0].h[p][low + 1][0] + row, PANEL, \
                  &z[low][0][j], (high - low) * B, first, final)
#define GROUP(V, j) EVENLY(PANEL, TILE, V)
    for (int p = 0; p < PANELS - 1; p++) OUTPUT_COLUMNS(GROUP);
#undef GROUP
#define GROUP(V, j) EVENLY(H_LAST, TILE, V)
    const int p = PANELS - 1;
    OUTPUT_COLUMNS(GROUP);
#undef GROUP
#undef TILE
    for (int o = 0; final && o < O; o++) by[o] -= (real)1e-2 * (dby[o] > 1 ? 1 : dby[o] < -1 ? -1 : dby[o]);
}

#endif

static void transpose(matrix *to, matrix *from)
{
    for (int q = 0; q < PANELS; q++)
        for (int p = 0; p < PANELS; p++)
            for (int c = 0; c < PANEL && q * PANEL + c < H; c++)
                for (int i = 0; i < PANEL && p * PANEL + i < H; i++)
                    (*to)[q][p * PANEL + i][c] = (*from)[p][q * PANEL + c][i];
}

/* x (T, B, I) or tokens (T, B); y (B, O) or, with EVERY, (T, B, O) or classes (T, B) */
static void batch(const void *x, const void *y)
{
    for (int l = 0; l < L; l++)
        for (int e = 0; e < D; e++) {
            transpose(cells[l][e].Wt, cells[l][e].W);
            for (int i = 0; l && i < D; i++) transpose(&cells[l][e].Wxt[i], &cells[l][e].Wx[i]);
            for (int k = 0; k < T; k++) forward(l, e, e ? T - 1 - k : k, x);
        }
#if EVERY
    for (int o = 0; o < O; o++)
        for (int i = 0; i < H; i++) Wot[i / PANEL][o][i % PANEL] = Wo[i][o];
    every_output(y);
#else
    for (int e = 0; e < D; e++)
        for (int q = 0; q < PANELS; q++)
            for (int b = 0; b < B; b++)
                memcpy(last + b * D * HP + e * HP + q * PANEL, cells[L - 1][e].h[q][e ? 0 : T][b], sizeof(real) * PANEL);
    output_layer(dlast, Wy, by, last, y, B, O, D * HP);
#endif
    if (TOKENS) memset(cells[0][0].Gi, 0, sizeof *cells[0][0].Gi * PANELS);
    for (int l = L - 1; l >= 0; l--)
        for (int e = 0; e < D; e++)
            for (int k = 0; k < T; k += CHUNK) {
                const int end = k + CHUNK < T ? k + CHUNK : T, low = e ? k : T - end, high = e ? end : T - k;
                for (int n = k; n < end; n++) backward(l, e, e ? n : T - 1 - n);
                all_gradients(l, e, low, high, k == 0, end == T, x);
#if EVERY
                if (l == L - 1) output_gradients(low, high, k == 0, end == T);
#endif
            }
    if (TOKENS) {
        real *w = cells[0][0].Wi[0][0], *g = cells[0][0].Gi[0][0];
        for (long i = 0; i < (long)I * HP; i += LANES) STORE(w + i, stepped(LOAD(w + i), LOAD(g + i)));
    }
}

void train(const void *x, const void *y, int N)
{
    const long inputs = TOKENS ? sizeof(int32_t) : sizeof(real) * I;
    const long targets = (CLASSES ? sizeof(int32_t) : sizeof(real) * O) * (EVERY ? T : 1);
    for (long n = 0; n < N; n += B) batch((const char *)x + n * T * inputs, (const char *)y + n * targets);
}

static void make(void)
{
    for (int l = 0; l < L; l++)
        for (int e = 0; e < D; e++) {
            cell *c = &cells[l][e];
            c->h = zeros(sizeof *c->h * PANELS), c->d = zeros(sizeof *c->d * PANELS);
            c->W = zeros(sizeof(matrix)), c->Wt = zeros(sizeof(matrix)), c->G = zeros(sizeof(matrix));
            c->Wx = zeros(sizeof(matrix) * D), c->Wxt = zeros(sizeof(matrix) * D), c->Gx = zeros(sizeof(matrix) * D);
            c->Wi = zeros(sizeof *c->Wi * PANELS), c->Gi = zeros(sizeof *c->Gi * PANELS);
            c->b = zeros(sizeof *c->b * PANELS), c->Gb = zeros(sizeof *c->Gb * PANELS);
        }
    Wy = zeros(sizeof(real) * O * D * HP), by = zeros(sizeof(real) * O), dby = zeros(sizeof(real) * O);
    last = zeros(sizeof(real) * B * D * HP), dlast = zeros(sizeof(real) * B * D * HP);
    Wo = zeros(sizeof *Wo * HP), Go = zeros(sizeof *Go * HP), Wot = zeros(sizeof *Wot * PANELS), z = zeros(sizeof *z * T);
}

static void move(real *ours, real *theirs, int back)
{
    if (back) *theirs = *ours;
    else *ours = *theirs;
}

/* Copies Wx, Wh and b of each cell, then Wy and by, in or out. */
static void exchange(real *const *arrays, int back)
{
    for (int l = 0; l < L; l++)
        for (int e = 0; e < D; e++, arrays += 3) {
            cell *c = &cells[l][e];
            for (int j = 0; j < H; j++) {
                const int q = j / PANEL, v = j % PANEL;
                for (int i = 0; i < (l ? D * H : I); i++)
                    move(l ? &c->Wx[i / H][q][i % H][v] : &c->Wi[q][i][v], arrays[0] + i * H + j, back);
                for (int i = 0; i < H; i++) move(&(*c->W)[q][i][v], arrays[1] + i * H + j, back);
                move(&c->b[q][v], arrays[2] + j, back);
            }
        }
    for (int i = 0; i < D * H; i++)
        for (int o = 0; o < O; o++)
            move(EVERY ? &Wo[i][o] : Wy + o * D * HP + i / H * HP + i % H, arrays[0] + i * O + o, back);
    for (int o = 0; o < O; o++) move(by + o, arrays[1] + o, back);
}

void load(real *const *arrays)
{
    if (!by) make();
    exchange(arrays, 0);
}

void store(real *const *arrays)
{
    exchange(arrays, 1);
}
