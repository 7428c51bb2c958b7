/* The algorithm in NEON (Advanced SIMD) words. */
#if defined(__aarch64__) || defined(_M_ARM64)

#include <arm_neon.h>

#include "isa.h"

#define ISA neon
#define TILE_ROWS 12   /* 12 x 2 sums, 2 vectors of w and 1 of a in 32 registers */
#define ROW_VECTORS 16 /* sums that `row_product` holds at once */

#define TYPE f32
#define REAL float
#define REAL_IS_DOUBLE 0
#define LANES 4
#define vec float32x4_t
#define vload vld1q_f32
#define vstore vst1q_f32
#define vset1 vdupq_n_f32
#define vadd vaddq_f32
#define vsub vsubq_f32
#define vmul vmulq_f32
#define vdiv vdivq_f32
#define vsqrt vsqrtq_f32
#define vfma(a, b, c) vfmaq_f32(c, a, b)
#define vfnma(a, b, c) vfmsq_f32(c, a, b)
#define vmin vminq_f32
#define vmax vmaxq_f32
#define vabs vabsq_f32
#define vcopysign(magnitude, sign) vbslq_f32(vdupq_n_u32(0x80000000u), sign, magnitude)
/* 2^k of t = 1.5 * 2^23 + 127 + k, whose low bits are the exponent as it is stored */
#define vpow2i(t) vreinterpretq_f32_s32(vshlq_n_s32(vreinterpretq_s32_f32(t), 23))
/* of x > 0: 1.5 * 2^23 plus the exponent as it is stored, which is 127 for 1 */
#define vexponent(x)                                                                               \
    vreinterpretq_f32_u32(vaddq_u32(vshrq_n_u32(vreinterpretq_u32_f32(x), 23),                     \
                                    vdupq_n_u32(0x4b400000)))
/* n + 1 where a > b */
#define vcount(n, a, b)                                                                            \
    vaddq_f32(n, vreinterpretq_f32_u32(                                                            \
                     vandq_u32(vcgtq_f32(a, b), vreinterpretq_u32_f32(vdupq_n_f32(1.0f)))))
/* c where a > b, else d */
#define vselect_gt(a, b, c, d) vbslq_f32(vcgtq_f32(a, b), c, d)
/* whether a > b in every lane */
#define vall_gt(a, b) (vminvq_u32(vcgtq_f32(a, b)) != 0)
#define vsum4(out, a, b, c, d) vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)))
#include "algorithm.h"
#include "forget_words.h"

#define TYPE f64
#define REAL double
#define REAL_IS_DOUBLE 1
#define LANES 2
#define vec float64x2_t
#define vload vld1q_f64
#define vstore vst1q_f64
#define vset1 vdupq_n_f64
#define vadd vaddq_f64
#define vsub vsubq_f64
#define vmul vmulq_f64
#define vdiv vdivq_f64
#define vsqrt vsqrtq_f64
#define vfma(a, b, c) vfmaq_f64(c, a, b)
#define vfnma(a, b, c) vfmsq_f64(c, a, b)
#define vmin vminq_f64
#define vmax vmaxq_f64
#define vabs vabsq_f64
#define vcopysign(magnitude, sign) vbslq_f64(vdupq_n_u64(0x8000000000000000u), sign, magnitude)
#define vcount(n, a, b)                                                                            \
    vaddq_f64(n, vreinterpretq_f64_u64(                                                            \
                     vandq_u64(vcgtq_f64(a, b), vreinterpretq_u64_f64(vdupq_n_f64(1.0)))))
/* of x > 0: 1.5 * 2^52 plus the exponent as it is stored, which is 1023 for 1 */
#define vexponent(x)                                                                               \
    vreinterpretq_f64_u64(vaddq_u64(vshrq_n_u64(vreinterpretq_u64_f64(x), 52),                     \
                                    vdupq_n_u64(0x4338000000000000)))
/* 2^k of t = 1.5 * 2^52 + 1023 + k, whose low bits are the exponent as it is stored */
#define vpow2i(t) vreinterpretq_f64_s64(vshlq_n_s64(vreinterpretq_s64_f64(t), 52))
#define vselect_gt(a, b, c, d) vbslq_f64(vcgtq_f64(a, b), c, d)
#define vall_gt(a, b) (vminvq_u32(vreinterpretq_u32_u64(vcgtq_f64(a, b))) != 0)
#define vsum4(out, a, b, c, d)                                                                     \
    (vst1q_f64(out, vpaddq_f64(a, b)), vst1q_f64((out) + 2, vpaddq_f64(c, d)))
#include "algorithm.h"

const crnn_isa crnn_isa_neon = {"neon", &kernels_f32_neon, &kernels_f64_neon};

#else
typedef int crnn_no_neon; /* another processor's file: a translation unit must not be empty */
#endif
