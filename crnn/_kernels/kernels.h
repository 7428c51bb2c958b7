/* The contract of the primitives: what `_cell.pyx` may call, whatever the processor.

   Letters: rows of a shard r, columns (hidden units or outputs) n, length of a sum k, padded row
   length ld*. Arguments: outputs first, then inputs, then sizes.

   Rows of every matrix that is written, and of every `w`, `init`, `h`, `b` and `g` that is read, and
   `a` where it runs along a row of w (row_product_transposed), are padded: a row of n numbers may be
   read and written up to the next whole vector of the instruction set (panel_width / 2 numbers), and
   the numbers past n are zeros and stay so (tanh(0) = 0, 0 * 0 = 0). `a` elsewhere and the arrays of
   `tanh`, `exp` and `log` are not padded (`out` may be `x`); panels past n hold what they held.
   Pointers may be unaligned; rows that begin on a vector are faster. Reports add up. No primitive
   allocates, and none knows which processor it is on.

   Every number is one chain of fused multiply-adds in an order that the shapes fix, never the vector
   width; where a sum runs across lanes it runs over 64 bytes of virtual lanes, folded in halves and
   at last in pairs. So AVX2, AVX-512 and NEON give the same bits (the portable build rounds twice).
*/
#ifndef CRNN_KERNELS_H
#define CRNN_KERNELS_H

#include <stddef.h>

enum { CRNN_ROW_BYTES = 64 };
enum { CRNN_TERMS = 3 }; /* of a product, at most: two sources and the cell's own state */

/* Bytes of cache that blocks are cut to: every processor of the last ten years has them. */
enum { CRNN_L1_BYTES = 32 << 10, CRNN_L2_BYTES = 256 << 10 };

/* Numbers in a row of states, from which on the states of all steps rarely fit the second-level cache. */
enum { CRNN_FAR = 256 };

/* What `product` does with a finished sum. */
enum {
    CRNN_LINEAR = 0,
    CRNN_TANH = 1,
    CRNN_RELU = 2,       /* max(0, sum) */
    CRNN_TANH_SLOPE = 3, /* sum * (1 - h^2) */
    CRNN_RELU_SLOPE = 4  /* sum * (h > 0) */
};

/* What `accumulate` does with a finished sum. */
enum { CRNN_STORE = 0, CRNN_ADD = 1, CRNN_DESCEND = 2 /* c -= learning_rate * clip(sum) */ };

/* What an update saw: `clipped` elements beyond the clip value; `poison` is 0, or NaN as soon as one
   element of the gradient was not finite (clipping cannot hide it). */
typedef struct {
    double clipped;
    double poison;
} crnn_report;

/* a[r, 0:k] times w[0:k, n]: one term of a product, of the type of the primitive it is given to. In
   `product` w is packed in panels of ldw rows each, the first k of which are meant; in `row_product`
   it is the matrix itself with rows ldw apart. */
typedef struct {
    const void *a;
    ptrdiff_t lda;
    const void *w;
    ptrdiff_t ldw;
    ptrdiff_t k;
} crnn_term;

/* The rules of `update`. g is the gradient, scaled and then clipped; all are PyTorch's:

       sgd      g += decay w    m = momentum m + g    g = m, with nesterov g + momentum m
                w -= rate g
       rmsprop  g += decay w    v = beta2 v + (1 - beta2) g^2    u = g / (sqrt(v) + eps)
                m = momentum m + u
                w -= rate m
       adam     g += decay w    m = beta1 m + (1 - beta1) g    v = beta2 v + (1 - beta2) g^2
                w -= rate m / (sqrt(v) / correction + eps)
       adamw    w -= decay w, and then as adam without decay

   With momentum 0, sgd and rmsprop have no m, and sgd never has v: these may be NULL. For adam and
   adamw rate = learning rate / (1 - beta1^step) and correction = sqrt(1 - beta2^step); for adamw
   decay = learning rate * weight decay. eps is not 0 in the type, so that a row's padding stays 0. */
enum { CRNN_SGD = 0, CRNN_RMSPROP = 1, CRNN_ADAM = 2, CRNN_ADAMW = 3 };

typedef struct {
    int kind;
    int nesterov;
    double scale; /* at most 1 */
    double clip;
    double rate;
    double decay;
    double momentum;
    double beta1;
    double beta2;
    double eps;
    double correction;
} crnn_rule;

#define CRNN_KERNELS(REAL, TYPE)                                                                   \
    typedef struct {                                                                               \
        /* numbers in `panels` for a k x n matrix: n is rounded up to whole panels */              \
        ptrdiff_t panel_width;                                                                     \
        /* panels[p][i][j] = w[i, p * panel_width + j] */                                          \
        void (*pack)(REAL *panels, const REAL *w, ptrdiff_t ldw, ptrdiff_t k, ptrdiff_t n);        \
        /* panels[p][i][j] = w[p * panel_width + j, i], w being n x k */                           \
        void (*pack_transposed)(REAL *panels, const REAL *w, ptrdiff_t ldw, ptrdiff_t k,           \
                                ptrdiff_t n);                                                      \
        /* out[r, j] = finish(init[r, j] + sum_terms sum_i a[r, i] w[i, j]); rows of init are ldi  \
           apart, and with ldi = 0 one row stands for all */                                       \
        void (*product)(REAL *out, ptrdiff_t ldo, const REAL *init, ptrdiff_t ldi,                 \
                        const crnn_term *terms, int n_terms, int finish, const REAL *h,            \
                        ptrdiff_t ldh, ptrdiff_t rows, ptrdiff_t n);                               \
        /* the same for one row; `back` walks the last term from its end, for the cache's sake */  \
        void (*row_product)(REAL *out, const REAL *init, const crnn_term *terms, int n_terms,      \
                            int finish, const REAL *h, ptrdiff_t n, int back);                     \
        /* out[i] = finish(sum_j a[j] w[i, j]), i < m; `back` walks w from its last row */         \
        void (*row_product_transposed)(REAL *out, const REAL *a, const REAL *w, ptrdiff_t ldw,     \
                                       int finish, const REAL *h, ptrdiff_t m, ptrdiff_t n,        \
                                       int back);                                                  \
        /* c[i, j] = / += / -= ... sum_r a[r, i] b[r, j], i < m, r < k: sums of 128 rows, added in \
           their order (CRNN_DESCEND: one sum) */                                                  \
        void (*accumulate)(REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, const REAL *b,    \
                           ptrdiff_t ldb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int finish,       \
                           REAL learning_rate, REAL clip, crnn_report *report);                    \
        /* g[0] = g[0] + g[1] + ... over the shards, `stride` apart, each of `rows` rows of n numbers,\
           ld apart. Returns the sum of the squares of what is then in g[0], in double precision and\
           not fused, in an order that rows and n fix: ld is the instruction set's, and is not in it */\
        double (*sum)(REAL *g, ptrdiff_t stride, ptrdiff_t shards, ptrdiff_t rows, ptrdiff_t n,    \
                      ptrdiff_t ld);                                                               \
        /* one step of the rule on the sum of the shards' g */                                     \
        void (*update)(REAL *w, REAL *m, REAL *v, const REAL *g, ptrdiff_t stride,                 \
                       ptrdiff_t shards, ptrdiff_t count, const crnn_rule *rule,                   \
                       crnn_report *report);                                                       \
        /* out[i] = tanh(x[i]) */                                                                  \
        void (*tanh)(REAL *out, const REAL *x, ptrdiff_t count);                                   \
        /* out[i] = exp(x[i]): 0 at -infinity, infinity where it overflows, subnormal results       \
           rounded as others */                                                                    \
        void (*exp)(REAL *out, const REAL *x, ptrdiff_t count);                                    \
        /* out[i] = log(x[i]): -infinity at 0 and at subnormal numbers, NaN below 0 */             \
        void (*log)(REAL *out, const REAL *x, ptrdiff_t count);                                    \
        /* the processor's limits, for the benchmark: `count` rounds of independent fused          \
           multiply-adds (returns how many that were), and one reading of `count` numbers */       \
        double (*probe_fma)(REAL *sink, ptrdiff_t count);                                          \
        void (*probe_read)(REAL *sink, const REAL *x, ptrdiff_t count);                            \
    } crnn_kernels_##TYPE;

CRNN_KERNELS(float, f32)
CRNN_KERNELS(double, f64)

typedef struct {
    const char *name;
    const crnn_kernels_f32 *f32;
    const crnn_kernels_f64 *f64;
} crnn_isa;

/* The i-th instruction set that this module was built with and this processor and its operating
   system offer, best first; NULL past the last, which is always "portable". */
const crnn_isa *crnn_available(int i);

#endif
