/* The primitives of `kernels.h`, written once in the words of an instruction set (vec, LANES, vload,
   vfma, ...) and compiled once for each and for each type: no include guard, on purpose.

   A product is cut into tiles of TILE_ROWS rows times a panel of two vectors, whose sums stay in
   registers over the whole length k: per step of k two loads of w and one broadcast of a a row feed
   2 * TILE_ROWS multiply-adds, so that the multipliers and not the loads are the limit. Tiles at
   the edge are the same text with fewer rows or one vector. Rows and vectors are named sums (p0, q0,
   ...) and not an array, because not every compiler takes an array apart. */

#define PANEL (2 * LANES)
#define VIRTUAL ((ptrdiff_t)(CRNN_ROW_BYTES / (LANES * sizeof(REAL)))) /* vectors in 64 bytes */

#define vtanh NAME(vtanh)
#include "tanh.h"

#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define EACH_VECTOR(DO) EACH_ROW(DO) DO(12) DO(13) DO(14) DO(15)

INLINE ptrdiff_t NAME(smaller)(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

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

static void NAME(pack_transposed)(REAL *panels, const REAL *w, ptrdiff_t ldw, ptrdiff_t k,
                                  ptrdiff_t n)
{
    for (ptrdiff_t p = 0; p < n; p += PANEL, panels += k * PANEL)
        for (ptrdiff_t j = 0; j < PANEL; j++) {
            const REAL *row = w + (p + j) * ldw;
            for (ptrdiff_t i = 0; i < k; i++)
                panels[i * PANEL + j] = p + j < n ? row[i] : 0;
        }
}

/* ---- out = finish(init + a w), many rows ---- */

/* R rows, V vectors: p and q are a row's first and second vector. R and V are constants. */
INLINE void NAME(product_tile)(const int R, const int V, REAL *out, ptrdiff_t ldo, const REAL *init,
                               const crnn_term *terms, int n_terms, ptrdiff_t panel)
{
    const vec p_init = vload(init), q_init = V > 1 ? vload(init + LANES) : p_init;
#define START(r) vec p##r = p_init, q##r = q_init;
    EACH_ROW(START)
#undef START
    for (const crnn_term *s = terms; s < terms + n_terms; s++) {
        const ptrdiff_t lda = s->lda, k = s->k;
        const REAL *w = (const REAL *)s->w + panel * k * PANEL;
        /* rows r, r + 1 and r + 2 are one pointer and its offsets 0, 1 and 2 lda */
        const REAL *a0 = (const REAL *)s->a, *a3 = a0 + 3 * lda, *a6 = a3 + 3 * lda, *a9 = a6 + 3 * lda;
        for (ptrdiff_t i = 0; i < k; i++, w += PANEL) {
            const vec p_w = vload(w), q_w = V > 1 ? vload(w + LANES) : p_w;
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
#define FINISH(r)                                                                                  \
    if (r < R) {                                                                                   \
        vstore(out + r * ldo, p##r);                                                               \
        if (V > 1)                                                                                 \
            vstore(out + r * ldo + LANES, q##r);                                                   \
    }
    EACH_ROW(FINISH)
#undef FINISH
}

/* What follows the sum, on numbers that the first-level cache still holds. */
INLINE void NAME(finish)(REAL *out, const REAL *h, int finish, ptrdiff_t n)
{
    if (finish == CRNN_TANH)
        for (ptrdiff_t j = 0; j < n; j += LANES)
            vstore(out + j, vtanh(vload(out + j)));
    else if (finish == CRNN_SLOPE)
        for (ptrdiff_t j = 0; j < n; j += LANES) {
            const vec h_j = vload(h + j);
            vstore(out + j, vmul(vload(out + j), vfnma(h_j, h_j, vset1(1))));
        }
}

static void NAME(product)(REAL *out, ptrdiff_t ldo, const REAL *init, const crnn_term *terms, int n_terms,
                          int finish, const REAL *h, ptrdiff_t ldh, ptrdiff_t rows, ptrdiff_t n)
{
    for (ptrdiff_t panel = 0; panel * PANEL < n; panel++) {
        const ptrdiff_t j = panel * PANEL;
        const int two = n - j > LANES;
        for (ptrdiff_t r = 0; r < rows; r += TILE_ROWS) {
            const ptrdiff_t tall = NAME(smaller)(TILE_ROWS, rows - r);
            crnn_term at[2];
            for (int s = 0; s < n_terms; s++) {
                at[s] = terms[s];
                at[s].a = (const REAL *)terms[s].a + r * terms[s].lda;
            }
            REAL *to = out + r * ldo + j;
            switch (tall) {
#define CASE(R)                                                                                    \
    case R + 1:                                                                                    \
        if (R + 1 <= TILE_ROWS) {                                                                  \
            if (two)                                                                               \
                NAME(product_tile)(R + 1, 2, to, ldo, init + j, at, n_terms, panel);               \
            else                                                                                   \
                NAME(product_tile)(R + 1, 1, to, ldo, init + j, at, n_terms, panel);               \
        }                                                                                          \
        break;
                EACH_ROW(CASE)
#undef CASE
            }
            if (finish != CRNN_LINEAR)
                for (ptrdiff_t i = 0; i < tall; i++)
                    NAME(finish)(to + i * ldo, h ? h + (r + i) * ldh + j : h, finish,
                                 two ? PANEL : LANES);
        }
    }
}

/* ---- the same for a single row: w streams through, the sums stay ---- */

INLINE void NAME(row_tile)(const int V, REAL *out, const REAL *init, const crnn_term *terms, int n_terms,
                           ptrdiff_t column, int back)
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
#define FINISH(v)                                                                                  \
    if (v < V)                                                                                     \
        vstore(out + v * LANES, p##v);
    EACH_VECTOR(FINISH)
#undef FINISH
}

static void NAME(row_product)(REAL *out, const REAL *init, const crnn_term *terms, int n_terms,
                              int finish, const REAL *h, ptrdiff_t n, int back)
{
    for (ptrdiff_t j = 0; j < n; j += ROW_VECTORS * LANES) {
        const ptrdiff_t wide = NAME(smaller)(ROW_VECTORS, (n - j + LANES - 1) / LANES);
        switch (wide) {
#define CASE(V)                                                                                    \
    case V + 1:                                                                                    \
        if (V + 1 <= ROW_VECTORS)                                                                  \
            NAME(row_tile)(V + 1, out + j, init + j, terms, n_terms, j, back);                     \
        break;
            EACH_VECTOR(CASE)
#undef CASE
        }
    }
    NAME(finish)(out, h, finish, n);
}

/* ---- a single row times the transposed matrix: dot products with the matrix's rows ---- */

static void NAME(row_product_transposed)(REAL *out, const REAL *a, const REAL *w, ptrdiff_t ldw,
                                         int finish, const REAL *h, ptrdiff_t m, ptrdiff_t n,
                                         int back)
{
    const ptrdiff_t groups = (m + 3) / 4;
    for (ptrdiff_t g = 0; g < groups; g++) {
        const ptrdiff_t i = 4 * (back ? groups - 1 - g : g), last = m - 1;
        const REAL *w0 = w + i * ldw, *w1 = w + NAME(smaller)(i + 1, last) * ldw,
                   *w2 = w + NAME(smaller)(i + 2, last) * ldw,
                   *w3 = w + NAME(smaller)(i + 3, last) * ldw;
        vec p[VIRTUAL], q[VIRTUAL], s[VIRTUAL], t[VIRTUAL];
        for (ptrdiff_t u = 0; u < VIRTUAL; u++)
            p[u] = q[u] = s[u] = t[u] = vset1(0);
        for (ptrdiff_t j = 0; j < n; j += VIRTUAL * LANES)
            for (ptrdiff_t u = 0; u < VIRTUAL; u++) {
                const ptrdiff_t at = j + u * LANES;
                const vec a_j = vload(a + at);
                p[u] = vfma(a_j, vload(w0 + at), p[u]);
                q[u] = vfma(a_j, vload(w1 + at), q[u]);
                s[u] = vfma(a_j, vload(w2 + at), s[u]);
                t[u] = vfma(a_j, vload(w3 + at), t[u]);
            }
        for (ptrdiff_t half = VIRTUAL / 2; half > 0; half /= 2)
            for (ptrdiff_t u = 0; u < half; u++) {
                p[u] = vadd(p[u], p[u + half]);
                q[u] = vadd(q[u], q[u + half]);
                s[u] = vadd(s[u], s[u + half]);
                t[u] = vadd(t[u], t[u + half]);
            }
        REAL sums[4];
        vsum4(sums, p[0], q[0], s[0], t[0]);
        for (ptrdiff_t e = 0; e < 4 && i + e < m; e++)
            out[i + e] = sums[e];
    }
    NAME(finish)(out, h, finish, m);
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
    /* c is wanted last and asked for first (2 % of the sum at H = 512) */
#define ASK(r)                                                                                     \
    if (r < R) {                                                                                   \
        PREFETCH(c + r * ldc);                                                                     \
        if (V > 1)                                                                                 \
            PREFETCH(c + r * ldc + LANES);                                                         \
    }
    EACH_ROW(ASK)
#undef ASK
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

static void NAME(accumulate)(REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, const REAL *b,
                             ptrdiff_t ldb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int finish,
                             REAL learning_rate, REAL clip, crnn_report *report)
{
    /* Few columns: a panel of b stays in the first-level cache while all of a goes by. Many: a tile's
       columns of a stay, and b goes by in whole lines (H = 1024: 85 % of the peak against 73). */
    const ptrdiff_t block = n > 512 ? TILE_ROWS : m;
    for (ptrdiff_t from = 0; from < m; from += block)
        for (ptrdiff_t j = 0; j < n; j += PANEL)
            for (ptrdiff_t i = from; i < NAME(smaller)(from + block, m); i += TILE_ROWS) {
                REAL *to = c + i * ldc + j;
                switch (NAME(smaller)(TILE_ROWS, m - i)) {
#define CASE(R)                                                                                    \
    case R + 1:                                                                                    \
        if (R + 1 <= TILE_ROWS) {                                                                  \
            if (n - j > LANES)                                                                     \
                NAME(accumulate_tile)(R + 1, 2, to, ldc, a + i, lda, b + j, ldb, k, finish,        \
                                      learning_rate, clip, report);                                \
            else                                                                                   \
                NAME(accumulate_tile)(R + 1, 1, to, ldc, a + i, lda, b + j, ldb, k, finish,        \
                                      learning_rate, clip, report);                                \
        }                                                                                          \
        break;
                    EACH_ROW(CASE)
#undef CASE
                }
            }
}

/* ---- the optimiser's step: the shards' sum, clipping and the update in one pass ---- */

INLINE vec NAME(summed)(const REAL *g, ptrdiff_t stride, ptrdiff_t shards)
{
    vec sum = vload(g);
    for (ptrdiff_t s = 1; s < shards; s++)
        sum = vadd(sum, vload(g + s * stride));
    return sum;
}

static void NAME(sum)(REAL *g, ptrdiff_t stride, ptrdiff_t shards, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i += LANES)
        vstore(g + i, NAME(summed)(g + i, stride, shards));
}

static void NAME(sgd)(REAL *w, const REAL *g, ptrdiff_t stride, ptrdiff_t shards, ptrdiff_t count,
                      REAL learning_rate, REAL clip, crnn_report *report)
{
    const vec rate = vset1(learning_rate), bound = vset1(clip);
    for (ptrdiff_t i = 0; i < count;) {
        /* counts in single precision stay exact: at most 4096 to a lane */
        const ptrdiff_t end = NAME(smaller)(count, i + 4096 * LANES);
        vec clips = vset1(0), poison = vset1(0);
        for (; i < end; i += LANES) {
            const vec g_i =
                NAME(clipped)(NAME(summed)(g + i, stride, shards), bound, &clips, &poison);
            vstore(w + i, vfnma(rate, g_i, vload(w + i)));
        }
        NAME(note)(report, clips, poison);
    }
}

static void NAME(adam)(REAL *w, REAL *m, REAL *v, const REAL *g, ptrdiff_t stride, ptrdiff_t shards,
                       ptrdiff_t count, REAL rate, REAL correction, double beta1, double beta2,
                       REAL eps, REAL clip, crnn_report *report)
{
    const vec b1 = vset1((REAL)beta1), c1 = vset1((REAL)(1 - beta1));
    const vec b2 = vset1((REAL)beta2), c2 = vset1((REAL)(1 - beta2));
    const vec bound = vset1(clip), scale = vset1(correction), tiny = vset1(eps), step = vset1(rate);
    for (ptrdiff_t i = 0; i < count;) {
        const ptrdiff_t end = NAME(smaller)(count, i + 4096 * LANES);
        vec clips = vset1(0), poison = vset1(0);
        for (; i < end; i += LANES) {
            const vec g_i =
                NAME(clipped)(NAME(summed)(g + i, stride, shards), bound, &clips, &poison);
            const vec m_i = vfma(b1, vload(m + i), vmul(c1, g_i));
            const vec v_i = vfma(b2, vload(v + i), vmul(c2, vmul(g_i, g_i)));
            const vec root = vadd(vdiv(vsqrt(v_i), scale), tiny);
            vstore(m + i, m_i);
            vstore(v + i, v_i);
            vstore(w + i, vsub(vload(w + i), vmul(step, vdiv(m_i, root))));
        }
        NAME(note)(report, clips, poison);
    }
}

/* ---- tanh alone, and the processor's limits ---- */

static void NAME(tanh)(REAL *out, const REAL *x, ptrdiff_t count)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore(out + i, vtanh(vload(x + i)));
    if (i < count) {
        REAL rest[LANES] = {0};
        for (ptrdiff_t j = i; j < count; j++)
            rest[j - i] = x[j];
        vstore(rest, vtanh(vload(rest)));
        for (ptrdiff_t j = i; j < count; j++)
            out[j] = rest[j - i];
    }
}

static double NAME(probe_fma)(REAL *sink, ptrdiff_t count)
{
    const vec a = vload(sink), b = vload(sink + LANES);
#define START(r) vec p##r = vadd(a, vset1(r)), q##r = vadd(b, vset1(r)); /* none like another */
    EACH_ROW(START)
#undef START
    for (ptrdiff_t i = 0; i < count; i++) {
#define STEP(r)                                                                                    \
    if (r < TILE_ROWS) {                                                                           \
        p##r = vfma(a, b, p##r);                                                                   \
        q##r = vfma(a, b, q##r);                                                                   \
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
    NAME(sgd),
    NAME(adam),
    NAME(tanh),
    NAME(probe_fma),
    NAME(probe_read),
};

#undef PANEL
#undef VIRTUAL
#undef vtanh
#undef EACH_ROW
#undef EACH_VECTOR
