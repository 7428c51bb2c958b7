/* vtranspose4(out, ldo, in, ldi): four rows of four numbers, transposed; for both x86 instruction sets. */
#if REAL_IS_DOUBLE

INLINE void NAME(vtranspose4)(double *out, ptrdiff_t ldo, const double *in, ptrdiff_t ldi)
{
    const __m256d a = _mm256_loadu_pd(in), b = _mm256_loadu_pd(in + ldi);
    const __m256d c = _mm256_loadu_pd(in + 2 * ldi), d = _mm256_loadu_pd(in + 3 * ldi);
    const __m256d even_ab = _mm256_unpacklo_pd(a, b), odd_ab = _mm256_unpackhi_pd(a, b);
    const __m256d even_cd = _mm256_unpacklo_pd(c, d), odd_cd = _mm256_unpackhi_pd(c, d);
    _mm256_storeu_pd(out, _mm256_permute2f128_pd(even_ab, even_cd, 0x20));
    _mm256_storeu_pd(out + ldo, _mm256_permute2f128_pd(odd_ab, odd_cd, 0x20));
    _mm256_storeu_pd(out + 2 * ldo, _mm256_permute2f128_pd(even_ab, even_cd, 0x31));
    _mm256_storeu_pd(out + 3 * ldo, _mm256_permute2f128_pd(odd_ab, odd_cd, 0x31));
}

#else

INLINE void NAME(vtranspose4)(float *out, ptrdiff_t ldo, const float *in, ptrdiff_t ldi)
{
    __m128 a = _mm_loadu_ps(in), b = _mm_loadu_ps(in + ldi);
    __m128 c = _mm_loadu_ps(in + 2 * ldi), d = _mm_loadu_ps(in + 3 * ldi);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(out, a);
    _mm_storeu_ps(out + ldo, b);
    _mm_storeu_ps(out + 2 * ldo, c);
    _mm_storeu_ps(out + 3 * ldo, d);
}

#endif
#define vtranspose4 NAME(vtranspose4)
