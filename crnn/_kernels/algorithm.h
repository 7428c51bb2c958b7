/* The primitives of `kernels.h`, written once in the words of an instruction set (vec, LANES, vload,
   vfma, ...) and compiled once for each and for each type: no include guard, on purpose.

   A product is cut into tiles of TILE_ROWS rows times a panel of two vectors, whose sums stay in
   registers over the whole length k: a step of k loads two vectors of w and broadcasts one number of a
   for each row, and feeds 2 * TILE_ROWS multiply-adds, so that the multipliers and not the loads are the
   limit. Tiles at the edge are the same text with fewer rows or one vector. Rows and vectors are named
   sums (p0, q0, ...) and not an array, because not every compiler takes an array apart. */

#define PANEL (2 * LANES)
#define SUM_ROWS 128 /* of `accumulate`: part of the order of sums, so the same everywhere */
#define VIRTUAL ((ptrdiff_t)(CRNN_ROW_BYTES / (LANES * sizeof(REAL)))) /* vectors in 64 bytes */

#define vtanh_begin NAME(vtanh_begin)
#define vtanh_end NAME(vtanh_end)
#include "tanh.h"

#define MOST_ROWS (2 * TILE_ROWS < 12 ? 2 * TILE_ROWS : 12) /* of a tile with one vector a row */
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define EACH_VECTOR(DO) EACH_ROW(DO) DO(12) DO(13) DO(14) DO(15)

INLINE ptrdiff_t NAME(smaller)(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

/* Rows of the next tile where `left` rows are left. A short last tile has too few sums to keep the
   multipliers busy, so it shares the rows of the tile before: 32 rows are 6, 6, 6, 6, 4, 4 or 12, 10,
   10. */
INLINE ptrdiff_t NAME(tile_rows)(ptrdiff_t left, int vectors)
{
    const ptrdiff_t most = vectors == 1 ? MOST_ROWS : TILE_ROWS;
    if (left > most && left <= most + most / 2)
        return (left + 1) / 2;
    return NAME(smaller)(most, left);
}

/* Prefetch a panel of `rows` rows. */
INLINE void NAME(prefetch)(const REAL *x, ptrdiff_t ldx, ptrdiff_t rows)
{
    for (; rows > 0; rows--, x += ldx)
        for (ptrdiff_t j = 0; j < PANEL; j += CRNN_ROW_BYTES / sizeof(REAL))
            PREFETCH(x + j);
}

/* The tiles of the primitive TILED: NAME(TILED_tiles)[V - 1][R - 1] has R rows of V vectors. Each is a
   function of its own: inlined into one they spilled each other's pointers, and the product at H = 32
   took 7 % longer (AVX2, Zen 5). */
#define TILE(V, r)                                                                                 \
    static NOINLINE void NAME(JOIN(TILED, V, r)) PARAMETERS                                        \
    {                                                                                              \
        NAME(TYPED(TILED, tile))                                                                   \
        (r < (V == 1 ? MOST_ROWS : TILE_ROWS) ? r + 1 : 1, V, ARGUMENTS);                          \
    }
#define TILE_1(r) TILE(1, r)
#define TILE_2(r) TILE(2, r)
#define ENTRY_1(r) NAME(JOIN(TILED, 1, r)),
#define ENTRY_2(r) NAME(JOIN(TILED, 2, r)),
#define TILES                                                                                      \
    EACH_ROW(TILE_1)                                                                               \
    EACH_ROW(TILE_2)                                                                               \
    static void (*const NAME(TYPED(TILED, tiles))[2][12]) PARAMETERS = {{EACH_ROW(ENTRY_1)},       \
                                                                        {EACH_ROW(ENTRY_2)}};

/* ---- packing ---- */

static void NAME(pack)(REAL *panels, const REAL *w, ptrdiff_t ldw, ptrdiff_t k, ptrdiff_t n)
{
    for (ptrdiff_t p = 0; p < n; p += PANEL) {
        const ptrdiff_t width = NAME(smaller)(PANEL, n - p);
        for (ptrdiff_t i = 0; i < k; i++, panels += PANEL) {
            const REAL *row = w + i * ldw + p;
            vstore(panels, vload(row));
            if (width > LANES)
                vstore(panels + LANES, vload(row + LANES));
        }
    }
}

#ifndef vtranspose4
INLINE void NAME(vtranspose4)(REAL *out, ptrdiff_t ldo, const REAL *in, ptrdiff_t ldi)
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            out[i * ldo + j] = in[j * ldi + i];
}
#define vtranspose4 NAME(vtranspose4)
#endif

static void NAME(pack_transposed)(REAL *panels, const REAL *w, ptrdiff_t ldw, ptrdiff_t k,
                                  ptrdiff_t n)
{
    for (ptrdiff_t p = 0; p < n; p += PANEL, w += PANEL * ldw) {
        const ptrdiff_t width = NAME(smaller)(PANEL, n - p);
        for (ptrdiff_t i = 0, deep; i < k; i += deep, panels += deep * PANEL) {
            deep = NAME(smaller)(4, k - i);
            for (ptrdiff_t j = 0; j < width; j += 4)
                if (deep == 4 && j + 4 <= width)
                    vtranspose4(panels + j, PANEL, w + j * ldw + i, ldw);
                else
                    for (ptrdiff_t e = 0; e < deep; e++)
                        for (ptrdiff_t f = j; f < NAME(smaller)(j + 4, width); f++)
                            panels[e * PANEL + f] = w[f * ldw + i + e];
        }
    }
}

/* ---- what follows a sum ---- */

/* tanh of a row of n numbers and their padding, in place. One pass and not two as in `tanh_rows`, because a
   row has few vectors: a step of a stream takes 10 ns less (H = 100, Xeon). */
static NOINLINE void NAME(tanh_row)(REAL *x, ptrdiff_t n)
{
    ptrdiff_t i = 0;
    vec t[2], m[2];
    for (; i + LANES < n; i += PANEL) {
        vtanh_begin(2, x + i, t, m);
        vtanh_end(2, x + i, t, m);
    }
    if (i < n) {
        vtanh_begin(1, x + i, t, m);
        vtanh_end(1, x + i, t, m);
    }
}

/* max(0, sum); NaN, the second of vmax, goes through, and -0 becomes 0 on every processor */
INLINE vec NAME(relu)(vec sum)
{
    return vadd(vmax(vset1(0), sum), vset1(0));
}

/* sum * (1 - h^2), or sum * (h > 0) */
INLINE vec NAME(slope)(int finish, vec sum, const REAL *h)
{
    const vec h_j = vload(h);
    return vmul(sum, finish == CRNN_TANH_SLOPE ? vfnma(h_j, h_j, vset1(1))
                                               : vcount(vset1(0), h_j, vset1(0)));
}

/* Finish the sums of one vector. tanh comes later, for the whole row. */
INLINE vec NAME(finished)(int finish, vec sum, const REAL *h)
{
    return finish >= CRNN_TANH_SLOPE ? NAME(slope)(finish, sum, h)
           : finish == CRNN_RELU     ? NAME(relu)(sum)
                                     : sum;
}

/* ---- out = finish(init + a w), many rows ---- */

/* R rows, V vectors: p and q are a row's first and second vector. R and V are constants. The terms'
   w is this panel's, and next[s] is the following panel of term s. The first two tiles prefetch half of
   it each, so weights that the second-level cache does not hold arrive in time. The product reached 86
   instead of 60 % of the peak at H = 1024, and 84 instead of 75 % at H = 512 (AVX-512, Xeon). */
INLINE void NAME(product_tile)(const int R, const int V, REAL *out, ptrdiff_t ldo, const REAL *init,
                               ptrdiff_t ldi, const crnn_term *terms, int n_terms, int finish,
                               const REAL *h, ptrdiff_t ldh, ptrdiff_t row, const REAL *const *next)
{
    out += row * ldo, init += row * ldi;
#define START(r)                                                                                   \
    vec p##r = r < R ? vload(init + r * ldi) : vset1(0),                                           \
        q##r = r < R && V > 1 ? vload(init + r * ldi + LANES) : vset1(0);
    EACH_ROW(START)
#undef START
    for (const crnn_term *s = terms; s < terms + n_terms; s++) {
        const ptrdiff_t lda = s->lda, k = s->k;
        const REAL *w = s->w;
        /* rows r, r + 1 and r + 2 are one pointer and its offsets 0, 1 and 2 lda */
        const REAL *a0 = (const REAL *)s->a + row * lda, *a3 = a0 + 3 * lda, *a6 = a3 + 3 * lda,
                   *a9 = a6 + 3 * lda;
        const REAL *ahead = next[s - terms] + (row > 0 ? k * LANES : 0);
        for (ptrdiff_t i = 0; i < k; i++, w += PANEL) {
            const vec p_w = vload(w), q_w = V > 1 ? vload(w + LANES) : p_w;
            PREFETCH_L2(ahead + i * LANES);
#define FROM(r) (r < 3 ? a0 : r < 6 ? a3 : r < 9 ? a6 : a9)[i + r % 3 * lda]
#define STEP(r)                                                                                    \
    if (r < R) {                                                                                   \
        const vec a = vset1(FROM(r));                                                              \
        p##r = vfma(a, p_w, p##r);                                                                 \
        if (V > 1)                                                                                 \
            q##r = vfma(a, q_w, q##r);                                                             \
    }
            EACH_ROW(STEP)
#undef STEP
#undef FROM
        }
    }
    if (finish > CRNN_TANH) {
        h += row * ldh;
#define LAST(r)                                                                                    \
    if (r < R) {                                                                                   \
        p##r = NAME(finished)(finish, p##r, h + r * ldh);                                          \
        if (V > 1)                                                                                 \
            q##r = NAME(finished)(finish, q##r, h + r * ldh + LANES);                              \
    }
        EACH_ROW(LAST)
#undef LAST
    }
#define FINISH(r)                                                                                  \
    if (r < R) {                                                                                   \
        vstore(out + r * ldo, p##r);                                                               \
        if (V > 1)                                                                                 \
            vstore(out + r * ldo + LANES, q##r);                                                   \
    }
    EACH_ROW(FINISH)
#undef FINISH
}

#define TILED product
#define PARAMETERS                                                                                 \
    (REAL * out, ptrdiff_t ldo, const REAL *init, ptrdiff_t ldi, const crnn_term *terms,           \
     int n_terms, int finish, const REAL *h, ptrdiff_t ldh, ptrdiff_t row,                         \
     const REAL *const *next)
#define ARGUMENTS out, ldo, init, ldi, terms, n_terms, finish, h, ldh, row, next
TILES
#undef TILED
#undef PARAMETERS
#undef ARGUMENTS

static void NAME(product)(REAL *out, ptrdiff_t ldo, const REAL *init, ptrdiff_t ldi,
                          const crnn_term *terms, int n_terms, int finish, const REAL *h,
                          ptrdiff_t ldh, ptrdiff_t rows, ptrdiff_t n)
{
    /* tanh of a tile waits for the next tile's product. They do not depend on each other, so the
       processor overlaps them: 3 to 6 % of a step at H = 32 (AVX2, Zen 5). */
    REAL *last = NULL;
    ptrdiff_t last_tall = 0;
    int last_vectors = 0;
    /* The slope reads h after the sums, when no work is left to hide the wait for another cache. With
       h and out prefetched, a step back takes 20 % less time at H = 256 and 11 % at H = 512 (AVX2,
       Zen 3). */
    const int far = finish > CRNN_TANH && n >= CRNN_FAR;
    for (ptrdiff_t j = 0, panel = 0; j < n; j += PANEL, panel++) {
        const int vectors = n - j > LANES ? 2 : 1;
        const ptrdiff_t following = j + PANEL < n ? panel + 1 : 0;
        crnn_term at[CRNN_TERMS];
        const REAL *next[CRNN_TERMS];
        for (int s = 0; s < n_terms; s++) {
            at[s] = terms[s];
            at[s].w = (const REAL *)terms[s].w + panel * terms[s].ldw * PANEL;
            next[s] = (const REAL *)terms[s].w + following * terms[s].ldw * PANEL;
        }
        for (ptrdiff_t r = 0, tall; r < rows; r += tall) {
            tall = NAME(tile_rows)(rows - r, vectors);
            if (far) {
                NAME(prefetch)(h + r * ldh + j, ldh, tall);
                NAME(prefetch)(out + r * ldo + j, ldo, tall);
            }
            NAME(product_tiles)[vectors - 1][tall - 1](out + j, ldo, init + j, ldi, at, n_terms,
                                                       finish, h ? h + j : h, ldh, r, next);
            if (finish == CRNN_TANH) {
                if (last)
                    NAME(tanh_rows)(last, ldo, last_tall, last_vectors);
                last = out + r * ldo + j, last_tall = tall, last_vectors = vectors;
            }
        }
    }
    if (last)
        NAME(tanh_rows)(last, ldo, last_tall, last_vectors);
}

/* ---- the same for a single row: w streams through, the sums stay ---- */

INLINE void NAME(row_tile)(const int V, REAL *out, const REAL *init, const crnn_term *terms, int n_terms,
                           int finish, const REAL *h, ptrdiff_t column, int back)
{
#define START(v) vec p##v = v < V ? vload(init + v * LANES) : vset1(0);
    EACH_VECTOR(START)
#undef START
    for (const crnn_term *s = terms; s < terms + n_terms; s++) {
        const int reversed = back && s == terms + n_terms - 1;
        const ptrdiff_t one = reversed ? -1 : 1, ldw = reversed ? -s->ldw : s->ldw;
        const REAL *a = (const REAL *)s->a + (reversed ? s->k - 1 : 0);
        const REAL *w = (const REAL *)s->w + column + (reversed ? (s->k - 1) * s->ldw : 0);
        for (ptrdiff_t i = 0; i < s->k; i++, a += one, w += ldw) {
            const vec a_i = vset1(*a);
#define STEP(v)                                                                                    \
    if (v < V)                                                                                     \
        p##v = vfma(a_i, vload(w + v * LANES), p##v);
            EACH_VECTOR(STEP)
#undef STEP
        }
    }
    if (finish > CRNN_TANH) {
#define LAST(v)                                                                                    \
    if (v < V)                                                                                     \
        p##v = NAME(finished)(finish, p##v, h + column + v * LANES);
        EACH_VECTOR(LAST)
#undef LAST
    }
#define FINISH(v)                                                                                  \
    if (v < V)                                                                                     \
        vstore(out + v * LANES, p##v);
    EACH_VECTOR(FINISH)
#undef FINISH
}

static void NAME(row_product)(REAL *out, const REAL *init, const crnn_term *terms, int n_terms,
                              int finish, const REAL *h, ptrdiff_t n, int back)
{
    /* Passes of about the same width: each needs enough sums to keep the multipliers busy. Backwards, the
       last one comes first, as the cache holds its columns. */
    const ptrdiff_t vectors = (n + LANES - 1) / LANES;
    const ptrdiff_t passes = (vectors + ROW_VECTORS - 1) / ROW_VECTORS;
    for (ptrdiff_t p = 0; p < passes; p++) {
        const ptrdiff_t pass = back ? passes - 1 - p : p;
        ptrdiff_t j = 0, wide = vectors;
        if (passes > 1) { /* the divisions take as long as seven rows of w */
            const ptrdiff_t first = pass * vectors / passes;
            j = first * LANES, wide = (pass + 1) * vectors / passes - first;
        }
        switch (wide) {
#define CASE(V)                                                                                    \
    case V + 1:                                                                                    \
        if (V + 1 <= ROW_VECTORS)                                                                  \
            NAME(row_tile)(V + 1, out + j, init + j, terms, n_terms, finish, h, j, back);          \
        break;
            EACH_VECTOR(CASE)
#undef CASE
        }
    }
    if (finish == CRNN_TANH)
        NAME(tanh_row)(out, n);
}

/* ---- a single row times the transposed matrix: dot products with the matrix's rows ---- */

/* out[e] = sum_j a[j] w_e[j] for four rows of w, which share each vector of a */
INLINE void NAME(four_dots)(REAL *out, const REAL *a, const REAL *w0, const REAL *w1, const REAL *w2,
                            const REAL *w3, ptrdiff_t n)
{
    vec p[VIRTUAL], q[VIRTUAL], s[VIRTUAL], t[VIRTUAL];
    for (ptrdiff_t u = 0; u < VIRTUAL; u++)
        p[u] = q[u] = s[u] = t[u] = vset1(0);
#define DOT(u, at)                                                                                 \
    {                                                                                              \
        const vec a_j = vload(a + (at));                                                           \
        p[u] = vfma(a_j, vload(w0 + (at)), p[u]);                                                  \
        q[u] = vfma(a_j, vload(w1 + (at)), q[u]);                                                  \
        s[u] = vfma(a_j, vload(w2 + (at)), s[u]);                                                  \
        t[u] = vfma(a_j, vload(w3 + (at)), t[u]);                                                  \
    }
    const ptrdiff_t vectors = (n + LANES - 1) / LANES, rest = vectors % VIRTUAL;
    const ptrdiff_t whole = (vectors - rest) * LANES;
    for (ptrdiff_t j = 0; j < whole; j += VIRTUAL * LANES)
        for (ptrdiff_t u = 0; u < VIRTUAL; u++)
            DOT(u, j + u * LANES)
    for (ptrdiff_t u = 0; u < rest; u++)
        DOT(u, whole + u * LANES)
#undef DOT
    for (ptrdiff_t half = VIRTUAL / 2; half > 0; half /= 2)
        for (ptrdiff_t u = 0; u < half; u++) {
            p[u] = vadd(p[u], p[u + half]);
            q[u] = vadd(q[u], q[u + half]);
            s[u] = vadd(s[u], s[u + half]);
            t[u] = vadd(t[u], t[u + half]);
        }
    vsum4(out, p[0], q[0], s[0], t[0]);
}

/* The same for `whole` rows in groups of four, where a is V vectors, a constant. They stay in registers,
   so that a multiply-add loads w alone: 792 cycles for 1070 at H = 100 (float32, AVX2, Zen 5). */
INLINE void NAME(dots_tile)(const int V, REAL *out, const REAL *a, const REAL *w, ptrdiff_t ldw,
                            ptrdiff_t whole, int back)
{
#define LOAD(v) const vec a##v = vload(a + (v < V ? v : 0) * LANES);
    EACH_VECTOR(LOAD)
#undef LOAD
    for (ptrdiff_t g = 0; g < whole; g += 4) {
        const ptrdiff_t i = back ? whole - 4 - g : g;
        vec sums[4];
        for (int e = 0; e < 4; e++) {
            const REAL *w_e = w + (i + e) * ldw;
            vec p[VIRTUAL];
            for (ptrdiff_t u = 0; u < VIRTUAL; u++)
                p[u] = vset1(0);
#define STEP(v)                                                                                    \
    if (v < V)                                                                                     \
        p[v % VIRTUAL] = vfma(a##v, vload(w_e + v * LANES), p[v % VIRTUAL]);
            EACH_VECTOR(STEP)
#undef STEP
            for (ptrdiff_t half = VIRTUAL / 2; half > 0; half /= 2)
                for (ptrdiff_t u = 0; u < half; u++)
                    p[u] = vadd(p[u], p[u + half]);
            sums[e] = p[0];
        }
        vsum4(out + i, sums[0], sums[1], sums[2], sums[3]);
    }
}

static void NAME(row_product_transposed)(REAL *out, const REAL *a, const REAL *w, ptrdiff_t ldw,
                                         int finish, const REAL *h, ptrdiff_t m, ptrdiff_t n,
                                         int back)
{
    const ptrdiff_t rest = m % 4, whole = m - rest;
    switch ((n + LANES - 1) / LANES) {
#define CASE(V)                                                                                    \
    case V + 1:                                                                                    \
        NAME(dots_tile)(V + 1, out, a, w, ldw, whole, back);                                       \
        break;
        EACH_VECTOR(CASE)
#undef CASE
    default:
        for (ptrdiff_t g = 0; g < whole; g += 4) {
            const ptrdiff_t i = back ? whole - 4 - g : g;
            const REAL *w_i = w + i * ldw;
            NAME(four_dots)(out + i, a, w_i, w_i + ldw, w_i + 2 * ldw, w_i + 3 * ldw, n);
        }
    }
    if (rest) {
        const REAL *w_i = w + whole * ldw;
        REAL sums[4];
        NAME(four_dots)(sums, a, w_i, w_i + (rest > 1) * ldw, w_i + (rest > 2) * 2 * ldw, w_i, n);
        for (ptrdiff_t e = 0; e < rest; e++)
            out[whole + e] = sums[e];
    }
    if (finish == CRNN_TANH)
        NAME(tanh_row)(out, m);
    else if (finish != CRNN_LINEAR)
        for (ptrdiff_t i = 0; i < m; i += LANES)
            vstore(out + i, NAME(finished)(finish, vload(out + i), h + i));
}

/* ---- c (+)= a' b: one long sum over timesteps and rows ---- */

/* A clipped element of the gradient, counted if it was clipped, its poison noticed. */
INLINE vec NAME(clipped)(vec g, vec clip, vec *count, vec *poison)
{
    *count = vcount(*count, vabs(g), clip);
    *poison = vfma(g, vset1(0), *poison); /* inf * 0 and NaN * 0 are NaN */
    return vmax(vsub(vset1(0), clip), vmin(clip, g));
}

INLINE void NAME(note)(crnn_report *report, vec count, vec poison)
{
    REAL counts[LANES], poisons[LANES];
    vstore(counts, count);
    vstore(poisons, poison);
    for (int i = 0; i < LANES; i++) {
        report->clipped += (double)counts[i];
        report->poison += (double)poisons[i];
    }
}

INLINE void NAME(accumulate_tile)(const int R, const int V, REAL *c, ptrdiff_t ldc, const REAL *a,
                                  ptrdiff_t lda, const REAL *b, ptrdiff_t ldb, ptrdiff_t k,
                                  int finish, REAL learning_rate, REAL clip, crnn_report *report)
{
#define START(r) vec p##r = vset1(0), q##r = vset1(0);
    EACH_ROW(START)
#undef START
    NAME(prefetch)(c, ldc, R); /* it is needed last (2 % of the sum at H = 512) */
    for (ptrdiff_t i = 0; i < k; i++, a += lda, b += ldb) {
        const vec p_b = vload(b), q_b = V > 1 ? vload(b + LANES) : p_b;
#define STEP(r)                                                                                    \
    if (r < R) {                                                                                   \
        const vec a_r = vset1(a[r]);                                                               \
        p##r = vfma(a_r, p_b, p##r);                                                               \
        if (V > 1)                                                                                 \
            q##r = vfma(a_r, q_b, q##r);                                                           \
    }
        EACH_ROW(STEP)
#undef STEP
    }
    if (finish == CRNN_STORE) {
#define STORE(r)                                                                                   \
    if (r < R) {                                                                                   \
        vstore(c + r * ldc, p##r);                                                                 \
        if (V > 1)                                                                                 \
            vstore(c + r * ldc + LANES, q##r);                                                     \
    }
        EACH_ROW(STORE)
#undef STORE
    } else if (finish == CRNN_ADD) {
#define ADD(r)                                                                                     \
    if (r < R) {                                                                                   \
        REAL *to = c + r * ldc;                                                                    \
        vstore(to, vadd(vload(to), p##r));                                                         \
        if (V > 1)                                                                                 \
            vstore(to + LANES, vadd(vload(to + LANES), q##r));                                     \
    }
        EACH_ROW(ADD)
#undef ADD
    } else {
        const vec rate = vset1(learning_rate), bound = vset1(clip);
        /* where the sum of all squares is below clip^2, nothing is clipped and nothing is NaN: two
           operations a vector instead of eight */
        vec p_squares = vset1(0), q_squares = vset1(0);
#define SQUARE(r)                                                                                  \
    if (r < R) {                                                                                   \
        p_squares = vfma(p##r, p##r, p_squares);                                                   \
        if (V > 1)                                                                                 \
            q_squares = vfma(q##r, q##r, q_squares);                                               \
    }
        EACH_ROW(SQUARE)
#undef SQUARE
        if (vall_gt(vset1((REAL)0.99 * clip * clip), vadd(p_squares, q_squares))) {
#define DESCEND(r)                                                                                 \
    if (r < R) {                                                                                   \
        REAL *to = c + r * ldc;                                                                    \
        vstore(to, vfnma(rate, p##r, vload(to)));                                                  \
        if (V > 1)                                                                                 \
            vstore(to + LANES, vfnma(rate, q##r, vload(to + LANES)));                              \
    }
            EACH_ROW(DESCEND)
#undef DESCEND
            return;
        }
        vec count = vset1(0), poison = vset1(0);
#define DESCEND(r)                                                                                 \
    if (r < R) {                                                                                   \
        REAL *to = c + r * ldc;                                                                    \
        vstore(to, vfnma(rate, NAME(clipped)(p##r, bound, &count, &poison), vload(to)));           \
        if (V > 1)                                                                                 \
            vstore(to + LANES, vfnma(rate, NAME(clipped)(q##r, bound, &count, &poison),            \
                                     vload(to + LANES)));                                          \
    }
        EACH_ROW(DESCEND)
#undef DESCEND
        NAME(note)(report, count, poison);
    }
}

#define TILED accumulate
#define PARAMETERS                                                                                 \
    (REAL * c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, const REAL *b, ptrdiff_t ldb,          \
     ptrdiff_t k, int finish, REAL learning_rate, REAL clip, crnn_report *report)
#define ARGUMENTS c, ldc, a, lda, b, ldb, k, finish, learning_rate, clip, report
TILES
#undef TILED
#undef PARAMETERS
#undef ARGUMENTS

/* The `tall` columns of a tile side by side, `rows` rows of them. */
static void NAME(pack_columns)(REAL *packed, const REAL *a, ptrdiff_t lda, ptrdiff_t rows, ptrdiff_t tall)
{
    switch (tall) {
#define CASE(r)                                                                                    \
    case r + 1:                                                                                    \
        for (; rows > 0; rows--, packed += r + 1, a += lda)                                        \
            memcpy(packed, a, (r + 1) * sizeof(REAL)); /* of a constant size */                    \
        break;
        EACH_ROW(CASE)
#undef CASE
    }
}

static void NAME(accumulate)(REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, const REAL *b,
                             ptrdiff_t ldb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int finish,
                             REAL learning_rate, REAL clip, crnn_report *report)
{
    /* A block of b's columns stays in the second-level cache while all of a goes by, and a tile's
       columns of a in the first-level cache while that block goes by. A descent has the whole sum. */
    const ptrdiff_t deep = finish == CRNN_DESCEND ? k : SUM_ROWS;
    const ptrdiff_t block = CRNN_L2_BYTES / 2 / (SUM_ROWS * sizeof(REAL));
    const ptrdiff_t whole = (n + LANES - 1) / PANEL * PANEL; /* columns in panels of two vectors */
    REAL packed[SUM_ROWS * TILE_ROWS];
    do {
        const ptrdiff_t rows = NAME(smaller)(deep, k);
        /* A tile reads a part of one or two lines in each row of a. Where it is read often, it is packed: at
           H = 1024 the sum reaches 88 instead of 79 % of the peak, at H = 512 94 instead of 88 (AVX2, Zen 4),
           and with AVX-512 84 instead of 74 % at H = 1024 (Xeon). For shorter rows, and at H = 512 for
           AVX-512 on a Zen 4, packing costs more than it saves. */
        const ptrdiff_t least = TILE_ROWS < 12 ? 2048 : 4096; /* bytes of a row */
        const int packs = n * (ptrdiff_t)sizeof(REAL) >= least && rows <= SUM_ROWS;
        for (ptrdiff_t from = 0; from < whole; from += block)
            for (ptrdiff_t i = 0, tall; i < m; i += tall) {
                tall = NAME(tile_rows)(m - i, 2);
                if (packs)
                    NAME(pack_columns)(packed, a + i, lda, rows, tall);
                for (ptrdiff_t j = from; j < NAME(smaller)(from + block, whole); j += PANEL)
                    NAME(accumulate_tiles)[1][tall - 1](
                        c + i * ldc + j, ldc, packs ? packed : a + i, packs ? tall : lda, b + j, ldb,
                        rows, finish, learning_rate, clip, report);
            }
        for (ptrdiff_t i = 0, tall; i < m && whole < n; i += tall) { /* a last panel of one vector */
            tall = NAME(tile_rows)(m - i, 1);
            NAME(accumulate_tiles)[0][tall - 1](c + i * ldc + whole, ldc, a + i, lda, b + whole, ldb,
                                                rows, finish, learning_rate, clip, report);
        }
        a += rows * lda, b += rows * ldb, k -= rows;
        finish = finish == CRNN_STORE ? CRNN_ADD : finish;
    } while (k > 0);
}

/* ---- the optimiser's step: the shards' sum, clipping and the update in one pass ---- */

INLINE vec NAME(summed)(const REAL *g, ptrdiff_t stride, ptrdiff_t shards)
{
    vec sum = vload(g);
    for (ptrdiff_t s = 1; s < shards; s++)
        sum = vadd(sum, vload(g + s * stride));
    return sum;
}

/* g[0] becomes the sum of the shards. sums[i] adds up the squares of place i of each 64-byte line. */
INLINE void NAME(sum_line)(double *sums, REAL *g, ptrdiff_t stride, ptrdiff_t shards, ptrdiff_t size)
{
    for (ptrdiff_t i = 0; i < size; i += LANES)
        vstore(g + i, NAME(summed)(g + i, stride, shards));
    for (ptrdiff_t i = 0; i < size; i++)
        sums[i] += (double)g[i] * (double)g[i];
}

static double NAME(sum)(REAL *g, ptrdiff_t stride, ptrdiff_t shards, ptrdiff_t rows, ptrdiff_t n,
                        ptrdiff_t ld)
{
    enum { LINE = CRNN_ROW_BYTES / sizeof(REAL) };
    double sums[LINE] = {0};
    for (; rows > 0; rows--, g += ld) {
        ptrdiff_t i = 0;
        for (; i + LINE <= n; i += LINE)
            NAME(sum_line)(sums, g + i, stride, shards, LINE);
        NAME(sum_line)(sums, g + i, stride, shards, n - i);
    }
    for (ptrdiff_t half = LINE / 2; half > 0; half /= 2)
        for (ptrdiff_t j = 0; j < half; j++)
            sums[j] += sums[j + half];
    return sums[0];
}

/* One vector of a step, at i; `decays` and `moves` say that decay and momentum are not 0. */
INLINE void NAME(step)(const int kind, const int decays, const int moves, REAL *w, REAL *m, REAL *v,
                       ptrdiff_t i, vec g, const crnn_rule *rule)
{
    const vec rate = vset1((REAL)rule->rate), decay = vset1((REAL)rule->decay);
    const vec momentum = vset1((REAL)rule->momentum), eps = vset1((REAL)rule->eps);
    vec w_i = vload(w + i), m_i, v_i;
    if (decays && kind == CRNN_ADAMW)
        w_i = vfnma(decay, w_i, w_i);
    else if (decays)
        g = vfma(decay, w_i, g);
    if (kind == CRNN_SGD) {
        if (moves) {
            m_i = vfma(momentum, vload(m + i), g);
            vstore(m + i, m_i);
            g = rule->nesterov ? vfma(momentum, m_i, g) : m_i;
        }
        vstore(w + i, vfnma(rate, g, w_i));
        return;
    }
    v_i = vfma(vset1((REAL)rule->beta2), vload(v + i),
               vmul(vset1((REAL)(1 - rule->beta2)), vmul(g, g)));
    vstore(v + i, v_i);
    if (kind == CRNN_RMSPROP) {
        g = vdiv(g, vadd(vsqrt(v_i), eps));
        if (moves) {
            g = vfma(momentum, vload(m + i), g);
            vstore(m + i, g);
        }
        vstore(w + i, vfnma(rate, g, w_i));
        return;
    }
    m_i = vfma(vset1((REAL)rule->beta1), vload(m + i), vmul(vset1((REAL)(1 - rule->beta1)), g));
    vstore(m + i, m_i);
    g = vdiv(m_i, vadd(vdiv(vsqrt(v_i), vset1((REAL)rule->correction)), eps));
    vstore(w + i, vsub(w_i, vmul(rate, g)));
}

/* A loop for each rule, so that terms which a rule does not have need no branch in the loop. */
INLINE void NAME(steps)(const int kind, const int decays, const int moves, REAL *w, REAL *m, REAL *v,
                        const REAL *g, ptrdiff_t stride, ptrdiff_t shards, ptrdiff_t count,
                        const crnn_rule *given, crnn_report *report)
{
    const crnn_rule rule = *given; /* a copy, which stays in registers because no store to w can change it */
    const vec bound = vset1((REAL)rule.clip), scale = vset1((REAL)rule.scale);
    for (ptrdiff_t i = 0; i < count;) {
        /* counts in single precision stay exact: at most 4096 to a lane */
        const ptrdiff_t end = NAME(smaller)(count, i + 4096 * LANES);
        vec clips = vset1(0), poison = vset1(0);
        for (; i < end; i += LANES) {
            const vec g_i = vmul(scale, NAME(summed)(g + i, stride, shards));
            NAME(step)(kind, decays, moves, w, m, v, i,
                       NAME(clipped)(g_i, bound, &clips, &poison), &rule);
        }
        NAME(note)(report, clips, poison);
    }
}

static void NAME(update)(REAL *w, REAL *m, REAL *v, const REAL *g, ptrdiff_t stride,
                         ptrdiff_t shards, ptrdiff_t count, const crnn_rule *rule,
                         crnn_report *report)
{
    const int decays = rule->decay != 0, moves = rule->momentum != 0;
#define STEPS(kind, decays, moves)                                                                 \
    NAME(steps)(kind, decays, moves, w, m, v, g, stride, shards, count, rule, report)
    if (rule->kind == CRNN_SGD && !decays && !moves)
        STEPS(CRNN_SGD, 0, 0);
    else if (rule->kind == CRNN_SGD)
        STEPS(CRNN_SGD, decays, moves);
    else if (rule->kind == CRNN_RMSPROP)
        STEPS(CRNN_RMSPROP, decays, moves);
    else if (rule->kind == CRNN_ADAM)
        STEPS(CRNN_ADAM, decays, 0);
    else
        STEPS(CRNN_ADAMW, 1, 0);
#undef STEPS
}

/* ---- functions of arrays, and the processor's limits ---- */

static void NAME(tanh)(REAL *out, const REAL *x, ptrdiff_t count)
{
    REAL block[2 * TANH_ROWS * LANES];
    for (ptrdiff_t i = 0; i < count; i += 2 * TANH_ROWS * LANES) {
        const ptrdiff_t size = NAME(smaller)(2 * TANH_ROWS * LANES, count - i);
        for (ptrdiff_t j = 0; j < 2 * TANH_ROWS * LANES; j++)
            block[j] = j < size ? x[i + j] : 0;
        NAME(tanh_row)(block, size);
        for (ptrdiff_t j = 0; j < size; j++)
            out[i + j] = block[j];
    }
}

#include "exponential.h"

static double NAME(probe_fma)(REAL *sink, ptrdiff_t count)
{
    const vec a = vload(sink), b = vload(sink + LANES);
#define START(r) vec p##r = vadd(a, vset1(r)), q##r = vadd(b, vset1(r)); /* none like another */
    EACH_ROW(START)
#undef START
    for (ptrdiff_t i = 0; i < count; i++) {
/* p a + b differs in every round, so a compiler cannot move it out of the loop */
#define STEP(r)                                                                                    \
    if (r < TILE_ROWS) {                                                                           \
        p##r = vfma(p##r, a, b);                                                                   \
        q##r = vfma(q##r, a, b);                                                                   \
    }
        EACH_ROW(STEP)
#undef STEP
    }
#define FINISH(r) vstore(sink, vadd(vload(sink), vadd(p##r, q##r)));
    EACH_ROW(FINISH)
#undef FINISH
    return 2.0 * 2 * TILE_ROWS * LANES * (double)count;
}

static void NAME(probe_read)(REAL *sink, const REAL *x, ptrdiff_t count)
{
#define START(r) vec p##r = vset1(0);
    EACH_ROW(START)
#undef START
    for (ptrdiff_t i = 0; i + 12 * LANES <= count; i += 12 * LANES) {
#define STEP(r) p##r = vadd(p##r, vload(x + i + r * LANES));
        EACH_ROW(STEP)
#undef STEP
    }
#define FINISH(r) vstore(sink, vadd(vload(sink), p##r));
    EACH_ROW(FINISH)
#undef FINISH
}

static const TYPED(crnn_kernels, TYPE) NAME(kernels) = {
    PANEL,
    NAME(pack),
    NAME(pack_transposed),
    NAME(product),
    NAME(row_product),
    NAME(row_product_transposed),
    NAME(accumulate),
    NAME(sum),
    NAME(update),
    NAME(tanh),
    NAME(exp),
    NAME(log),
    NAME(probe_fma),
    NAME(probe_read),
};

#undef PANEL
#undef vtranspose4
#undef SUM_ROWS
#undef VIRTUAL
#undef vtanh_begin
#undef vtanh_end
#undef TANH_ROWS
#undef MOST_ROWS
#undef EACH_ROW
#undef EACH_VECTOR
#undef TILE
#undef TILE_1
#undef TILE_2
#undef ENTRY_1
#undef ENTRY_2
#undef TILES
