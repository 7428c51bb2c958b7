/* Shared by all programs here: the real type, vectors of it, tanh, one clipped step, the output layer.

   Compile with -DVECTOR_BYTES=16, 32 or 64, and -DDOUBLE for float64. Vectors are types of GCC and Clang, so one
   source serves every instruction set. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#if defined __x86_64__ || defined __i386__
#include <immintrin.h>
#endif

#ifdef DOUBLE
typedef double real;
#define EXP exp /* with -ffast-math the C library's vectors */
#else
typedef float real;
#define EXP expf
#endif

#define LANES ((int)(VECTOR_BYTES / sizeof(real)))
#define INLINE static inline __attribute__((always_inline))

typedef real vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

#define LOAD(p) (*(const vec *)(p))
#define STORE(p, v) (*(vec *)(p) = (v))
#define ALL(x) ((vec){0} + (real)(x))

/* GCC's vector types have no minimum. */
#if VECTOR_BYTES == 64 && defined __AVX512F__
#define WIDE(name) _mm512_##name
#elif VECTOR_BYTES == 32 && defined __AVX__
#define WIDE(name) _mm256_##name
#endif
#if defined WIDE && defined DOUBLE
#define MIN(a, b) ((vec)WIDE(min_pd)(a, b))
#define MAX(a, b) ((vec)WIDE(max_pd)(a, b))
#elif defined WIDE
#define MIN(a, b) ((vec)WIDE(min_ps)(a, b))
#define MAX(a, b) ((vec)WIDE(max_ps)(a, b))
#else
INLINE vec MIN(vec a, vec b)
{
    for (int i = 0; i < LANES; i++) a[i] = a[i] < b[i] ? a[i] : b[i];
    return a;
}
INLINE vec MAX(vec a, vec b)
{
    for (int i = 0; i < LANES; i++) a[i] = a[i] > b[i] ? a[i] : b[i];
    return a;
}
#endif

/* tanh x = x P(x^2) / Q(x^2), fitted by least squares to a relative error of 1.2e-8 up to 8.5 (float) and
   5e-17 up to 18.7 (double); beyond, tanh is 1 to the last digit or the one before it. */
INLINE vec tanh_of(vec x)
{
#ifdef DOUBLE
    static const double p[] = {
        2.62578404963685977e-23, 7.674281688335337103e-19, 3.136745641554733571e-15, 4.235473624431249945e-12,
        2.463648570580030189e-9, 6.867302081774723357e-7,  9.385894035083589336e-5,  5.981496988931040678e-3,
        0.1518507109306217941,   0.9999999999999999541};
    static const double q[] = {
        6.484670827239961946e-21, 5.795551309614099211e-17, 1.294960629617082891e-13, 1.124708185943532719e-10,
        4.495493102059682318e-8,  8.787842699647847937e-6,  8.296331434932107364e-4,  3.437617841025047879e-2,
        0.4851840442639545338,    1};
    enum { TERMS = 10 };
    const real largest = 18.7;
#else
    static const float p[] = {1.427088354e-8f, 2.12523402551e-5f, 3.534108485593e-3f, 0.134133164441f, 0.999999988386f};
    static const float q[] = {8.14583428e-7f, 3.348996467640e-4f, 2.602302306434e-2f, 0.467466392524f, 1};
    enum { TERMS = 5 };
    const real largest = 8.5f;
#endif
    x = MAX(MIN(x, ALL(largest)), ALL(-largest));
    const vec z = x * x;
    vec above = ALL(p[0]), below = ALL(q[0]);
#pragma GCC unroll 16
    for (int i = 1; i < TERMS; i++) above = above * z + p[i], below = below * z + q[i];
    return x * above / below;
}

/* the sums of four vectors */
INLINE void sum_four(real *to, const vec *sums)
{
#if VECTOR_BYTES > 16
    typedef real half __attribute__((vector_size(VECTOR_BYTES / 2)));
    union { vec whole; half part[2]; } u[4];
    half halves[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) u[i].whole = sums[i], halves[i] = u[i].part[0] + u[i].part[1];
#else
    const vec *halves = sums;
#endif
    for (int i = 0; i < 4; i++) {
        real sum = 0;
        for (int k = 0; k < (VECTOR_BYTES > 16 ? LANES / 2 : LANES); k++) sum += halves[i][k];
        to[i] = sum;
    }
}

/* `bytes` zeros in large pages where the system has them */
static void *zeros(size_t bytes)
{
    const size_t page = (size_t)1 << 21, size = (bytes + page - 1) / page * page;
    void *p = aligned_alloc(page, size);
#ifdef __linux__
    madvise(p, size, MADV_HUGEPAGE);
#endif
    return memset(p, 0, size);
}

/* w - learning rate * gradient clipped to [-1, 1] */
INLINE vec stepped(vec w, vec gradient)
{
    return w - (real)1e-2 * MAX(MIN(gradient, ALL(1)), ALL(-1));
}

/* The output layer of one batch: error = 2 (h Wy + by - y) / (B O), dh = error Wy', and one step of Wy and by.
   h, dh (B, stride); Wy (O, stride), its padding zero; y (B, O). `stride` is a multiple of LANES. */
static void output_layer(real *dh, real *Wy, real *by, const real *h, const real *y, int B, int O, int stride)
{
    real error[B * O];
    for (int b = 0; b < B; b++)
        for (int o = 0; o < O; o++) {
            vec sum = {0};
            for (int i = 0; i < stride; i += LANES) sum += LOAD(h + (size_t)b * stride + i) * LOAD(Wy + (size_t)o * stride + i);
            real output = by[o] - y[b * O + o];
            for (int i = 0; i < LANES; i++) output += sum[i];
            error[b * O + o] = output * (real)(2. / (B * O));
        }
    for (int b = 0; b < B; b++)
        for (int i = 0; i < stride; i += LANES) {
            vec sum = {0};
            for (int o = 0; o < O; o++) sum += error[b * O + o] * LOAD(Wy + (size_t)o * stride + i);
            STORE(dh + (size_t)b * stride + i, sum);
        }
    for (int o = 0; o < O; o++) {
        real total = 0;
        for (int b = 0; b < B; b++) total += error[b * O + o];
        by[o] -= (real)1e-2 * (total > 1 ? 1 : total < -1 ? -1 : total);
        for (int i = 0; i < stride; i += LANES) {
            vec sum = {0};
            for (int b = 0; b < B; b++) sum += error[b * O + o] * LOAD(h + (size_t)b * stride + i);
            STORE(Wy + (size_t)o * stride + i, stepped(LOAD(Wy + (size_t)o * stride + i), sum));
        }
    }
}

/* z (rows, O) becomes its loss's gradient, that of the mean over all elements: of the squared error against y (rows, O),
   or, if `classes` (rows) is not null, of the cross entropy. z comes without its bias. dby (O): the gradient of by. */
static void loss_gradient(real *z, real *dby, const real *by, const real *y, const int32_t *classes, int rows, int O)
{
    memset(dby, 0, sizeof(real) * O);
    for (int n = 0; n < rows; n++, z += O) {
        if (classes) {
            real most = z[0] + by[0], total = 0;
            for (int o = 0; o < O; o++) z[o] += by[o], most = z[o] > most ? z[o] : most;
            for (int o = 0; o < O; o++) z[o] = EXP(z[o] - most), total += z[o];
            for (int o = 0; o < O; o++) z[o] *= 1 / (total * rows);
            z[classes[n]] -= (real)1 / rows;
        } else
            for (int o = 0; o < O; o++) z[o] = (z[o] + by[o] - y[(size_t)n * O + o]) * ((real)2 / ((real)rows * O));
        for (int o = 0; o < O; o++) dby[o] += z[o];
    }
}

/* y (rows, O) = h Wy + by; h (rows, stride), Wy (O, stride) */
static void outputs(real *y, const real *h, const real *Wy, const real *by, int rows, int O, int stride)
{
    for (int b = 0; b < rows; b++)
        for (int o = 0; o < O; o++) {
            vec sum = {0};
            for (int i = 0; i < stride; i += LANES) sum += LOAD(h + (size_t)b * stride + i) * LOAD(Wy + (size_t)o * stride + i);
            real output = by[o];
            for (int i = 0; i < LANES; i++) output += sum[i];
            y[b * O + o] = output;
        }
}
