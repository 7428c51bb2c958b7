/* The algorithm for any processor: 16-byte vectors where the compiler has them, else one number
   at a time. No fused multiply-add is assumed: a * b + c rounds twice here. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "isa.h"

#define ISA portable
#define TILE_ROWS 6   /* 6 x 2 sums, 2 vectors of w and 1 of a in 16 registers */
#define ROW_VECTORS 8 /* sums that `row_product` holds at once */

#define vadd(a, b) ((a) + (b))
#define vsub(a, b) ((a) - (b))
#define vmul(a, b) ((a) * (b))
#define vdiv(a, b) ((a) / (b))
#define vfma(a, b, c) ((a) * (b) + (c))
#define vfnma(a, b, c) ((c) - (a) * (b))

#if defined(__clang__) && defined(__powerpc__)
/* Of a comparison of vectors only the bits are taken, which are the same in either of the forms that
   Clang tells apart there. */
#pragma clang diagnostic ignored "-Wdeprecated-altivec-src-compat"
#endif

/* 32-bit Arm's vectors flush subnormal numbers to zero: one number at a time there. */
#if defined(__GNUC__) && !defined(__arm__)

#define DEFINE_VECTORS(REAL, TYPE, INTEGER, LANES, SQRT, EXPONENT_BITS, MAGIC)                     \
    typedef REAL vec_##TYPE __attribute__((vector_size(16)));                                      \
    typedef INTEGER bits_##TYPE __attribute__((vector_size(16)));                                  \
    INLINE vec_##TYPE load_##TYPE##_portable(const REAL *p)                                        \
    {                                                                                              \
        vec_##TYPE v;                                                                              \
        memcpy(&v, p, sizeof v);                                                                   \
        return v;                                                                                  \
    }                                                                                              \
    INLINE void store_##TYPE##_portable(REAL *p, vec_##TYPE v)                                     \
    {                                                                                              \
        memcpy(p, &v, sizeof v);                                                                   \
    }                                                                                              \
    INLINE vec_##TYPE select_##TYPE##_portable(bits_##TYPE mask, vec_##TYPE a, vec_##TYPE b)       \
    {                                                                                              \
        return (vec_##TYPE)((mask & (bits_##TYPE)a) | (~mask & (bits_##TYPE)b));                   \
    }                                                                                              \
    INLINE vec_##TYPE sqrt_##TYPE##_portable(vec_##TYPE v)                                         \
    {                                                                                              \
        for (int i = 0; i < LANES; i++)                                                            \
            v[i] = SQRT(v[i]);                                                                     \
        return v;                                                                                  \
    }                                                                                              \
    INLINE vec_##TYPE pow2i_##TYPE##_portable(vec_##TYPE t)                                        \
    {                                                                                              \
        return (vec_##TYPE)((bits_##TYPE)t << EXPONENT_BITS);                                      \
    }                                                                                              \
    INLINE vec_##TYPE exponent_##TYPE##_portable(vec_##TYPE x)                                     \
    {                                                                                              \
        return (vec_##TYPE)(((bits_##TYPE)x >> EXPONENT_BITS) + MAGIC);                            \
    }

DEFINE_VECTORS(float, f32, unsigned, 4, sqrtf, 23, 0x4b400000u)
DEFINE_VECTORS(double, f64, unsigned long long, 2, sqrt, 52, 0x4338000000000000u)

#define vec TYPED(vec, TYPE)
#define vload NAME(load)
#define vstore NAME(store)
#define vset1(x) ((vec){0} + (REAL)(x))
#define vsqrt NAME(sqrt)
#define vmask(comparison) ((TYPED(bits, TYPE))(comparison))
#define vmin(a, b) NAME(select)(vmask((a) < (b)), a, b)
#define vmax(a, b) NAME(select)(vmask((a) > (b)), a, b)
#define vsign ((TYPED(bits, TYPE))(-(vec){0}))
#define vabs(a) ((vec)((TYPED(bits, TYPE))(a) & ~vsign))
#define vcopysign(magnitude, sign)                                                                 \
    ((vec)((TYPED(bits, TYPE))(magnitude) | ((TYPED(bits, TYPE))(sign) & vsign)))
#define vcount(n, a, b) ((n) + NAME(select)(vmask((a) > (b)), vset1(1), vset1(0)))
#define vselect_gt(a, b, c, d) NAME(select)(vmask((a) > (b)), c, d)
#define vpow2i NAME(pow2i)
#define vexponent NAME(exponent)

#define TYPE f32
#define REAL float
#define REAL_IS_DOUBLE 0
#define LANES 4
#define vall_gt(a, b)                                                                              \
    ((a)[0] > (b)[0] && (a)[1] > (b)[1] && (a)[2] > (b)[2] && (a)[3] > (b)[3])
#define vsum4(out, a, b, c, d)                                                                     \
    ((out)[0] = ((a)[0] + (a)[1]) + ((a)[2] + (a)[3]),                                             \
     (out)[1] = ((b)[0] + (b)[1]) + ((b)[2] + (b)[3]),                                             \
     (out)[2] = ((c)[0] + (c)[1]) + ((c)[2] + (c)[3]),                                             \
     (out)[3] = ((d)[0] + (d)[1]) + ((d)[2] + (d)[3]))
#include "algorithm.h"
#undef TYPE
#undef REAL
#undef REAL_IS_DOUBLE
#undef LANES
#undef vall_gt
#undef vsum4

#define TYPE f64
#define REAL double
#define REAL_IS_DOUBLE 1
#define LANES 2
#define vall_gt(a, b) ((a)[0] > (b)[0] && (a)[1] > (b)[1])
#define vsum4(out, a, b, c, d)                                                                     \
    ((out)[0] = (a)[0] + (a)[1], (out)[1] = (b)[0] + (b)[1], (out)[2] = (c)[0] + (c)[1],           \
     (out)[3] = (d)[0] + (d)[1])
#include "algorithm.h"

#else

#define vec REAL
#define LANES 1
#define vload(p) (*(p))
#define vstore(p, v) (*(p) = (v))
#define vset1(x) ((REAL)(x))
#define vsqrt(a) ((REAL)sqrt(a))
#define vmin(a, b) ((a) < (b) ? (a) : (b))
#define vmax(a, b) ((a) > (b) ? (a) : (b))
#define vabs(a) ((REAL)fabs(a))
#define vcopysign(magnitude, sign) ((REAL)copysign(magnitude, sign))
#define vcount(n, a, b) ((n) + ((a) > (b) ? 1 : 0))
#define vselect_gt(a, b, c, d) ((a) > (b) ? (c) : (d))
#define vall_gt(a, b) ((a) > (b))
#define vsum4(out, a, b, c, d)                                                                     \
    ((out)[0] = (a), (out)[1] = (b), (out)[2] = (c), (out)[3] = (d))
INLINE float pow2i_f32_portable(float t) /* t = 1.5 * 2^23 + 127 + k */
{
    uint32_t bits;
    memcpy(&bits, &t, sizeof bits);
    bits <<= 23;
    memcpy(&t, &bits, sizeof t);
    return t;
}
INLINE double pow2i_f64_portable(double t) /* t = 1.5 * 2^52 + 1023 + k */
{
    uint64_t bits;
    memcpy(&bits, &t, sizeof bits);
    bits <<= 52;
    memcpy(&t, &bits, sizeof t);
    return t;
}
INLINE float exponent_f32_portable(float x) /* 1.5 * 2^23 + the exponent as it is stored */
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits >> 23) + 0x4b400000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}
INLINE double exponent_f64_portable(double x) /* 1.5 * 2^52 + the exponent as it is stored */
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits >> 52) + 0x4338000000000000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}
#define vpow2i NAME(pow2i)
#define vexponent NAME(exponent)

#define TYPE f32
#define REAL float
#define REAL_IS_DOUBLE 0
#include "algorithm.h"
#undef TYPE
#undef REAL
#undef REAL_IS_DOUBLE

#define TYPE f64
#define REAL double
#define REAL_IS_DOUBLE 1
#include "algorithm.h"

#endif

const crnn_isa crnn_isa_portable = {"portable", &kernels_f32_portable, &kernels_f64_portable};
