/* The algorithm in AVX-512 words. */
#if defined(__x86_64__) || defined(_M_X64)

#include <immintrin.h>

#include "isa.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma"))),    \
                             apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,fma,prefer-vector-width=512")
#endif

#define ISA avx512
#define TILE_ROWS 12   /* 12 x 2 sums, 2 vectors of w and 1 of a in 32 registers */
#define ROW_VECTORS 16 /* sums that `row_product` holds at once */

#define TYPE f32
#define REAL float
#define REAL_IS_DOUBLE 0
#define LANES 16
#define vec __m512
#define vload _mm512_loadu_ps
#define vstore _mm512_storeu_ps
#define vset1 _mm512_set1_ps
#define vadd _mm512_add_ps
#define vsub _mm512_sub_ps
#define vmul _mm512_mul_ps
#define vdiv _mm512_div_ps
#define vsqrt _mm512_sqrt_ps
#define vfma _mm512_fmadd_ps
#define vfnma _mm512_fnmadd_ps
#define vmin _mm512_min_ps
#define vmax _mm512_max_ps
#define vabs _mm512_abs_ps
#define vcopysign(magnitude, sign)                                                                 \
    _mm512_or_ps(magnitude, _mm512_and_ps(sign, _mm512_set1_ps(-0.0f)))
/* 2^k of t = 1.5 * 2^23 + 127 + k, whose low bits are the exponent as it is stored */
#define vpow2i(t) _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(t), 23))
/* of x > 0: 1.5 * 2^23 plus the exponent as it is stored, which is 127 for 1 */
#define vexponent(x)                                                                               \
    _mm512_castsi512_ps(_mm512_add_epi32(_mm512_srli_epi32(_mm512_castps_si512(x), 23),            \
                                         _mm512_set1_epi32(0x4b400000)))
/* n + 1 where a > b */
#define vcount(n, a, b)                                                                            \
    _mm512_mask_add_ps(n, _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), n, _mm512_set1_ps(1.0f))
/* c where a > b, else d */
#define vselect_gt(a, b, c, d)                                                                     \
    _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), d, c)
/* whether a > b in every lane */
#define vall_gt(a, b) (_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) == 0xffff)
INLINE void vsum4_f32_avx512(float *out, __m512 a, __m512 b, __m512 c, __m512 d)
{
    const __m512 ab =
        _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    const __m512 cd =
        _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    __m512 v =
        _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    v = _mm512_add_ps(v, _mm512_permute_ps(v, 0xb1));
    v = _mm512_add_ps(v, _mm512_permute_ps(v, 0x4e));
    _mm_storeu_ps(out, _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, v)));
}
#define vsum4 vsum4_f32_avx512
#include "transpose_x86.h"
#include "algorithm.h"
#include "forget_words.h"

#define TYPE f64
#define REAL double
#define REAL_IS_DOUBLE 1
#define LANES 8
#define vec __m512d
#define vload _mm512_loadu_pd
#define vstore _mm512_storeu_pd
#define vset1 _mm512_set1_pd
#define vadd _mm512_add_pd
#define vsub _mm512_sub_pd
#define vmul _mm512_mul_pd
#define vdiv _mm512_div_pd
#define vsqrt _mm512_sqrt_pd
#define vfma _mm512_fmadd_pd
#define vfnma _mm512_fnmadd_pd
#define vmin _mm512_min_pd
#define vmax _mm512_max_pd
#define vabs _mm512_abs_pd
#define vcopysign(magnitude, sign)                                                                 \
    _mm512_or_pd(magnitude, _mm512_and_pd(sign, _mm512_set1_pd(-0.0)))
#define vcount(n, a, b)                                                                            \
    _mm512_mask_add_pd(n, _mm512_cmp_pd_mask(a, b, _CMP_GT_OQ), n, _mm512_set1_pd(1.0))
#define vselect_gt(a, b, c, d)                                                                     \
    _mm512_mask_blend_pd(_mm512_cmp_pd_mask(a, b, _CMP_GT_OQ), d, c)
#define vall_gt(a, b) (_mm512_cmp_pd_mask(a, b, _CMP_GT_OQ) == 0xff)
/* of x > 0: 1.5 * 2^52 plus the exponent as it is stored, which is 1023 for 1 */
#define vexponent(x)                                                                               \
    _mm512_castsi512_pd(_mm512_add_epi64(_mm512_srli_epi64(_mm512_castpd_si512(x), 52),            \
                                         _mm512_set1_epi64(0x4338000000000000)))
/* 2^k of t = 1.5 * 2^52 + 1023 + k, whose low bits are the exponent as it is stored */
#define vpow2i(t) _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(t), 52))
INLINE void vsum4_f64_avx512(double *out, __m512d a, __m512d b, __m512d c, __m512d d)
{
    const __m512d ab =
        _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x44), _mm512_shuffle_f64x2(a, b, 0xee));
    const __m512d cd =
        _mm512_add_pd(_mm512_shuffle_f64x2(c, d, 0x44), _mm512_shuffle_f64x2(c, d, 0xee));
    __m512d v =
        _mm512_add_pd(_mm512_shuffle_f64x2(ab, cd, 0x88), _mm512_shuffle_f64x2(ab, cd, 0xdd));
    v = _mm512_add_pd(v, _mm512_permute_pd(v, 0x55));
    _mm256_storeu_pd(out, _mm512_castpd512_pd256(_mm512_maskz_compress_pd(0x55, v)));
}
#define vsum4 vsum4_f64_avx512
#include "transpose_x86.h"
#include "algorithm.h"

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

const crnn_isa crnn_isa_avx512 = {"avx512", &kernels_f32_avx512, &kernels_f64_avx512};

#else
typedef int crnn_no_avx512; /* another processor's file: a translation unit must not be empty */
#endif
