/* exp and log of a vector, in the words of the instruction set and for the type of the file that
   includes it.

   exp: x = k ln2 + r with |r| <= ln2/2, exp(x) = 2^k (1 + (r + r^2 q(r))). ln2 is two constants, of
   which the product of k and the first is exact. 2^k is applied as two factors, each a normal
   number, so that results up to the largest number are finite and subnormal results are rounded
   once. x is clamped to where the result is infinity and 0.

   log: x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), s = f / (2 + f), and

       log(1 + f) = 2 atanh(s) = f - s (f - s^2 p(s^2))
       log(x) = k ln2 + log(1 + f)

   k is the exponent of sqrt(2) x. f is exact. The errors of s and p count for at most a fifth, because s does.
   A subnormal x counts as 0, whose logarithm is -infinity.

   Coefficients: bench/fit_exponential.py (relative error of exp at most 0.06 * 2^-24 and
   0.04 * 2^-53, of log 0.02 * 2^-24 and 0.02 * 2^-53).

   Largest error in ulp, fused | unfused (portable), NaN kept, the same bits on AVX2, AVX-512 and
   NEON:
     exp float32  1.009 at -0x1.b610fp+4           | 0.977 at -0x1.7714d4p+2         all 2^32 inputs
     log float32  0.954 at 0x1.69bdbap-1           | 0.954 at the same               all 2^32 inputs
     exp float64  1.037 at -0x1.1f980c4f193b6p+2   | 1.009 at -0x1.1fa1c66f60a5ep+2  1e8 samples
     log float64  0.861 at 0x1.69daecf8be618p-1    | 0.857 at 0x1.663c97c231dc4p-1   1e8 samples

   Nanoseconds for a number, float32 and float64: exp 0.31 and 0.82 on AVX-512, 0.42 and 1.15 on
   AVX2; log 0.51 and 1.28, 0.72 and 1.76 (Sapphire Rapids). A vector with a result of exp below the
   smallest normal number takes ten times as long. */

#if REAL_IS_DOUBLE
#define EXP_ZERO (-746.0) /* below log(2^-1075) = -745.14 */
#define EXP_INFINITY 710.0 /* above log(2^1024) = 709.79 */
#define BIAS 1023 /* of the exponent as it is stored */
#define MAGIC 0x1.8p52 /* a sum with it is an integer, standing in its low bits */
#define LN2_HIGH 0x1.62e42fefa3800p-1 /* 43 bits */
#define LN2_LOW 0x1.ef35793c76730p-45
#define SMALLEST 0x1p-1022 /* normal number */
#else
#define EXP_ZERO (-104.0f) /* below log(2^-150) = -103.98 */
#define EXP_INFINITY 89.0f /* above log(2^128) = 88.73 */
#define BIAS 127
#define MAGIC 0x1.8p23f
#define LN2_HIGH 0x1.62e4p-1f /* 15 bits */
#define LN2_LOW 0x1.7f7d1cp-20f
#define SMALLEST 0x1p-126f
#endif

/* x 2^k for an integer k that two factors reach (|k| <= 252, 2044) */
INLINE vec NAME(scaled)(vec x, vec k)
{
    const vec one = vset1(MAGIC + BIAS); /* as `vpow2i` reads it */
    const vec m = vfma(k, vset1((REAL)0.5), one), half = vsub(m, one);
    return vmul(vmul(x, vpow2i(m)), vpow2i(vadd(one, vsub(k, half))));
}

INLINE vec NAME(vexp)(vec x)
{
    const vec magic = vset1(MAGIC), one = vset1((REAL)1);
    /* NaN, the second, goes through */
    const vec a = vmax(vset1(EXP_ZERO), vmin(vset1(EXP_INFINITY), x));
    const vec k = vsub(vfma(a, vset1((REAL)0x1.71547652b82fep+0), magic), magic);
    const vec r = vfnma(k, vset1(LN2_LOW), vfnma(k, vset1(LN2_HIGH), a));
#if REAL_IS_DOUBLE
    vec q = vset1(0x1.ad7f4ff3359bdp-26);
    q = vfma(q, r, vset1(0x1.28ad8dc1353e0p-22));
    q = vfma(q, r, vset1(0x1.71df2591d249bp-19));
    q = vfma(q, r, vset1(0x1.a01999f097de9p-16));
    q = vfma(q, r, vset1(0x1.a01a012a27f27p-13));
    q = vfma(q, r, vset1(0x1.6c16c18433bf0p-10));
    q = vfma(q, r, vset1(0x1.1111111127ca9p-7));
    q = vfma(q, r, vset1(0x1.5555555550853p-5));
    q = vfma(q, r, vset1(0x1.55555555554fap-3));
    q = vfma(q, r, vset1(0x1.000000000000ap-1));
#else
    vec q = vset1(0x1.6a23f0p-10f);
    q = vfma(q, r, vset1(0x1.123a0ap-7f));
    q = vfma(q, r, vset1(0x1.5558f2p-5f));
    q = vfma(q, r, vset1(0x1.555492p-3f));
    q = vfma(q, r, vset1(0x1.fffffcp-2f));
#endif
    return NAME(scaled)(vadd(one, vfma(q, vmul(r, r), r)), k);
}

INLINE vec NAME(vlog)(vec x)
{
    const vec zero = vset1(0), one = vset1((REAL)1), infinity = vset1((REAL)INFINITY);
    const vec k = vsub(vexponent(vmul(x, vset1((REAL)0x1.6a09e667f3bcdp+0))), vset1(MAGIC + BIAS));
    const vec f = vsub(NAME(scaled)(x, vsub(zero, k)), one);
    const vec s = vdiv(f, vadd(f, vset1((REAL)2))), w = vmul(s, s);
#if REAL_IS_DOUBLE
    vec p = vset1(0x1.2f0efde19eb0ep-3);
    p = vfma(p, w, vset1(0x1.39a0d6ea34e42p-3));
    p = vfma(p, w, vset1(0x1.74664714c7f95p-3));
    p = vfma(p, w, vset1(0x1.c71c51e4e0d1bp-3));
    p = vfma(p, w, vset1(0x1.2492494219b13p-2));
    p = vfma(p, w, vset1(0x1.999999997fb2ep-2));
    p = vfma(p, w, vset1(0x1.5555555555593p-1));
#else
    vec p = vset1(0x1.31e618p-2f);
    p = vfma(p, w, vset1(0x1.995ea2p-2f));
    p = vfma(p, w, vset1(0x1.55557ap-1f));
#endif
    /* k ln2 + (f - (s (f - w p))), the low part of k ln2 inside */
    const vec low = vfnma(k, vset1(LN2_LOW), vmul(s, vfnma(w, p, f)));
    vec y = vfma(k, vset1(LN2_HIGH), vsub(f, low));
    const vec none = vselect_gt(zero, x, vset1((REAL)NAN), vsub(zero, infinity));
    y = vselect_gt(vset1(SMALLEST), x, none, y);
    return vselect_gt(infinity, x, y, x); /* infinity and NaN are their own logarithms */
}

/* out[i] = function(x[i]); the numbers behind the last whole vector go through a vector of zeros */
#define ON_ARRAY(function)                                                                         \
    static void NAME(function)(REAL *out, const REAL *x, ptrdiff_t count)                          \
    {                                                                                              \
        ptrdiff_t i = 0;                                                                           \
        REAL last[LANES] = {0};                                                                    \
        for (; i + LANES <= count; i += LANES)                                                     \
            vstore(out + i, NAME(v##function)(vload(x + i)));                                      \
        if (i == count)                                                                            \
            return;                                                                                \
        for (ptrdiff_t j = i; j < count; j++)                                                      \
            last[j - i] = x[j];                                                                    \
        vstore(last, NAME(v##function)(vload(last)));                                              \
        for (ptrdiff_t j = i; j < count; j++)                                                      \
            out[j] = last[j - i];                                                                  \
    }
ON_ARRAY(exp)
ON_ARRAY(log)

#undef EXP_ZERO
#undef EXP_INFINITY
#undef BIAS
#undef MAGIC
#undef LN2_HIGH
#undef LN2_LOW
#undef SMALLEST
#undef ON_ARRAY
