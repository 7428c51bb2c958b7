/* tanh of a vector, in the words of the instruction set and for the type of the file that
   includes it.

   |x| = k ln2/2 + r with -0.084 < r < 0.264, so exp(2 |x|) = 2^k (1 + t) / (1 - t), t = tanh(r),
   and

       n = (2^k - 1) + t (2^k + 1)        tanh |x| = n / (n + 2 (1 - t))

   t = r + r^3 q(r^2). For k = 0 the fraction is t / 1 exactly, so small and subnormal x stay
   right; for large k an error of n or of 1 - t is damped by 1 - tanh, and what is left is two
   roundings. r is not centred: k = 0 reaches to 0.263, past tanh = 1/4, since below that a
   negative t would cancel in n (2.4 ulp measured, 2.7 unfused). From k = 25 (54) on 2 (1 - t) < half
   an ulp of n, so the result is exactly 1; x is clamped there. ln2/2 is one constant: its error
   times k is damped too.

   Coefficients: bench/fit_tanh.py (relative error of t at most 0.09 * 2^-24 and 0.09 * 2^-53).

   Largest error in ulp, fused | unfused (portable), odd, |y| <= 1, NaN kept, the same bits on
   AVX2 and AVX-512:
     float32  1.745 at 0x1.17cb36p-1        | 1.679 at 0x1.10a33cp-1         all 2^32 inputs
     float64  1.873 at 0x1.fdaa8b6ae4347p-2 | 1.872 at 0x1.e9e98e078d22dp-1  4.9e8 samples
   (float64 is above 1.8 only for x near 0.5 and, unfused, near 0.28 and 0.96.)

   Per vector: 9 (float64: 13) multiplications or FMAs, 5 additions, 1 shift, 4 of sign and clamp,
   1 division. Zen 4, rows of two vectors: AVX-512 12.9 cycles a vector (float64 18.8), AVX2 7.4
   (10.7).

   Rejected, float32 on AVX-512, when this took 14.6 cycles (19.4): x P(x^2)/Q(x^2) of degrees
   9/8: 12.7 cycles but 5.7 ulp (7.8 unfused) and |y| > 1, because four roundings meet near 1;
   7/8 has 5 ulp before any rounding, 7/6 74. e / (e + 2), e = expm1(2|x|): 14.6 cycles (float64
   21.1), 9 (14) multiplications, 2.6 ulp. n / (t (2^k - 1) + 2^k + 1) saves an addition, 2.5
   ulp. Estrin's scheme: 15.4 (float64 1 to 4 % better for one multiplication more). A(|x|) / (A
   + C(|x|)), as tame as the chosen form, needs 12 coefficients. */

#if REAL_IS_DOUBLE
#define TANH_ONE 18.75      /* above 54 ln2/2 = 18.715, where the result is 1 */
#define TANH_ZERO (0x1.8p52 + 1023) /* k + this, as `vpow2i` reads it */
#else
#define TANH_ONE 8.75f      /* above 25 ln2/2 = 8.664 */
#define TANH_ZERO (0x1.8p23f + 127)
#endif

/* The first half, of U vectors side by side: x -> t and m, which holds k. U is a constant. */
INLINE void vtanh_begin(const int U, const REAL *x, vec *t, vec *m)
{
    const vec zero = vset1(TANH_ZERO);
    vec a[2], k[2], r[2], r2[2], q[2];
#define EACH UNROLL for (int u = 0; u < U; u++)
    EACH a[u] = vmin(vset1(TANH_ONE), vabs(vload(x + u * LANES))); /* NaN, the second, goes through */
    EACH m[u] = vfma(vsub(a[u], vset1((REAL)0.09)), vset1((REAL)0x1.71547652b82fep+1), zero);
    EACH k[u] = vsub(m[u], zero);
    EACH r[u] = vfnma(k[u], vset1((REAL)0x1.62e42fefa39efp-2), a[u]);
    EACH r2[u] = vmul(r[u], r[u]);
#if REAL_IS_DOUBLE
    EACH q[u] = vset1(-0x1.55a4f344fcf5ap-10);
    EACH q[u] = vfma(q[u], r2[u], vset1(0x1.d4a3de794def2p-9));
    EACH q[u] = vfma(q[u], r2[u], vset1(-0x1.22662f0b378d5p-7));
    EACH q[u] = vfma(q[u], r2[u], vset1(0x1.664f2801427b0p-6));
    EACH q[u] = vfma(q[u], r2[u], vset1(-0x1.ba1ba17386817p-5));
    EACH q[u] = vfma(q[u], r2[u], vset1(0x1.11111110ecaf8p-3));
    EACH q[u] = vfma(q[u], r2[u], vset1(-0x1.555555555548ap-2));
#else
    EACH q[u] = vset1(-0x1.a30276p-5f);
    EACH q[u] = vfma(q[u], r2[u], vset1(0x1.10d610p-3f));
    EACH q[u] = vfma(q[u], r2[u], vset1(-0x1.555500p-2f));
#endif
    EACH t[u] = vfma(q[u], vmul(r2[u], r[u]), r[u]);
}

/* The second half: x becomes tanh x. */
INLINE void vtanh_end(const int U, REAL *x, const vec *t, const vec *m)
{
    const vec one = vset1((REAL)1), two = vset1((REAL)2);
    vec s[2], n[2], y[2];
    EACH s[u] = vpow2i(m[u]);
    EACH n[u] = vfma(t[u], vadd(s[u], one), vsub(s[u], one));
    EACH y[u] = vdiv(n[u], vadd(n[u], vfnma(two, t[u], two)));
    EACH vstore(x + u * LANES, vcopysign(y[u], vload(x + u * LANES)));
#undef EACH
}

/* tanh in place of `rows` rows of one or two vectors, at most TANH_ROWS rows.

   One vector is a chain of some 50 cycles, and the processor's window holds few whole chains. In two
   passes and by pairs it holds more of them: 8.5 cycles a vector behind a product for 9.9 on AVX2, 6.5
   for 8.3 on AVX-512 (Zen 5). */
#define TANH_ROWS 12

static NOINLINE void NAME(tanh_rows)(REAL *x, ptrdiff_t ldx, ptrdiff_t rows, int vectors)
{
    vec t[2 * TANH_ROWS], m[2 * TANH_ROWS];
    if (vectors == 2) {
        for (ptrdiff_t r = 0; r < rows; r++)
            vtanh_begin(2, x + r * ldx, t + 2 * r, m + 2 * r);
        for (ptrdiff_t r = 0; r < rows; r++)
            vtanh_end(2, x + r * ldx, t + 2 * r, m + 2 * r);
    } else {
        for (ptrdiff_t r = 0; r < rows; r++)
            vtanh_begin(1, x + r * ldx, t + r, m + r);
        for (ptrdiff_t r = 0; r < rows; r++)
            vtanh_end(1, x + r * ldx, t + r, m + r);
    }
}

#undef TANH_ONE
#undef TANH_ZERO
