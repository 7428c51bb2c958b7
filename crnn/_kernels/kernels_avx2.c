/* The algorithm in AVX2 and FMA words. */
#if defined(__x86_64__) || defined(_M_X64)

#include <immintrin.h>

#include "isa.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define ISA avx2
#define TILE_ROWS 6   /* 6 x 2 sums, 2 vectors of w and 1 of a in 16 registers */
#define ROW_VECTORS 14 /* sums that `row_product` holds at once */

#define TYPE f32
#define REAL float
#define REAL_IS_DOUBLE 0
#define LANES 8
#define vec __m256
#define vload _mm256_loadu_ps
#define vstore _mm256_storeu_ps
#define vset1 _mm256_set1_ps
#define vadd _mm256_add_ps
#define vsub _mm256_sub_ps
#define vmul _mm256_mul_ps
#define vdiv _mm256_div_ps
#define vsqrt _mm256_sqrt_ps
#define vfma _mm256_fmadd_ps
#define vfnma _mm256_fnmadd_ps
#define vmin _mm256_min_ps
#define vmax _mm256_max_ps
#define vabs(a) _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a)
#define vcopysign(magnitude, sign)                                                                 \
    _mm256_or_ps(magnitude, _mm256_and_ps(sign, _mm256_set1_ps(-0.0f)))
/* 2^k of t = 1.5 * 2^23 + 127 + k, whose low bits are the exponent as it is stored */
#define vpow2i(t) _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(t), 23))
/* of x > 0: 1.5 * 2^23 plus the exponent as it is stored, which is 127 for 1 */
#define vexponent(x)                                                                               \
    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_srli_epi32(_mm256_castps_si256(x), 23),            \
                                         _mm256_set1_epi32(0x4b400000)))
/* n + 1 where a > b */
#define vcount(n, a, b)                                                                            \
    _mm256_add_ps(n, _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ), _mm256_set1_ps(1.0f)))
/* c where a > b, else d */
#define vselect_gt(a, b, c, d) _mm256_blendv_ps(d, c, _mm256_cmp_ps(a, b, _CMP_GT_OQ))
/* whether a > b in every lane */
#define vall_gt(a, b) (_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) == 0xff)
INLINE __m256 halves_f32_avx2(__m256 a, __m256 b)
{
    return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
INLINE void vsum4_f32_avx2(float *out, __m256 a, __m256 b, __m256 c, __m256 d)
{
    __m256 acbd = _mm256_hadd_ps(halves_f32_avx2(a, b), halves_f32_avx2(c, d));
    acbd = _mm256_hadd_ps(acbd, acbd);
    _mm_storeu_ps(out, _mm_unpacklo_ps(_mm256_castps256_ps128(acbd), _mm256_extractf128_ps(acbd, 1)));
}
#define vsum4 vsum4_f32_avx2
#include "transpose_x86.h"
#include "algorithm.h"
#include "forget_words.h"

#define TYPE f64
#define REAL double
#define REAL_IS_DOUBLE 1
#define LANES 4
#define vec __m256d
#define vload _mm256_loadu_pd
#define vstore _mm256_storeu_pd
#define vset1 _mm256_set1_pd
#define vadd _mm256_add_pd
#define vsub _mm256_sub_pd
#define vmul _mm256_mul_pd
#define vdiv _mm256_div_pd
#define vsqrt _mm256_sqrt_pd
#define vfma _mm256_fmadd_pd
#define vfnma _mm256_fnmadd_pd
#define vmin _mm256_min_pd
#define vmax _mm256_max_pd
#define vabs(a) _mm256_andnot_pd(_mm256_set1_pd(-0.0), a)
#define vcopysign(magnitude, sign)                                                                 \
    _mm256_or_pd(magnitude, _mm256_and_pd(sign, _mm256_set1_pd(-0.0)))
#define vcount(n, a, b)                                                                            \
    _mm256_add_pd(n, _mm256_and_pd(_mm256_cmp_pd(a, b, _CMP_GT_OQ), _mm256_set1_pd(1.0)))
#define vselect_gt(a, b, c, d) _mm256_blendv_pd(d, c, _mm256_cmp_pd(a, b, _CMP_GT_OQ))
#define vall_gt(a, b) (_mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_GT_OQ)) == 0xf)
/* of x > 0: 1.5 * 2^52 plus the exponent as it is stored, which is 1023 for 1 */
#define vexponent(x)                                                                               \
    _mm256_castsi256_pd(_mm256_add_epi64(_mm256_srli_epi64(_mm256_castpd_si256(x), 52),            \
                                         _mm256_set1_epi64x(0x4338000000000000)))
/* 2^k of t = 1.5 * 2^52 + 1023 + k, whose low bits are the exponent as it is stored */
#define vpow2i(t) _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(t), 52))
INLINE __m256d halves_f64_avx2(__m256d a, __m256d b)
{
    return _mm256_add_pd(_mm256_permute2f128_pd(a, b, 0x20), _mm256_permute2f128_pd(a, b, 0x31));
}
INLINE void vsum4_f64_avx2(double *out, __m256d a, __m256d b, __m256d c, __m256d d)
{
    const __m256d acbd = _mm256_hadd_pd(halves_f64_avx2(a, b), halves_f64_avx2(c, d));
    _mm256_storeu_pd(out, _mm256_permute4x64_pd(acbd, 0xd8));
}
#define vsum4 vsum4_f64_avx2
#include "transpose_x86.h"
#include "algorithm.h"

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

const crnn_isa crnn_isa_avx2 = {"avx2", &kernels_f32_avx2, &kernels_f64_avx2};

#else
typedef int crnn_no_avx2; /* another processor's file: a translation unit must not be empty */
#endif
