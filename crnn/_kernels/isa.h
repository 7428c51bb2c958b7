/* The compiled instruction sets, and the names that all of them share. */
#ifndef CRNN_ISA_H
#define CRNN_ISA_H

#include <math.h>
#include <string.h>

#include "kernels.h"

extern const crnn_isa crnn_isa_portable, crnn_isa_avx2, crnn_isa_avx512, crnn_isa_neon;

#if defined(_MSC_VER) && !defined(__clang__)
#define INLINE static __forceinline
#define NOINLINE __declspec(noinline)
#define PREFETCH(p) ((void)(p))
#define PREFETCH_L2(p) ((void)(p))
#define UNROLL
#else
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define PREFETCH(p) __builtin_prefetch(p, 1)
#define PREFETCH_L2(p) __builtin_prefetch(p, 0, 2)
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#endif

#define JOIN_(a, b, c) a##_##b##_##c
#define JOIN(a, b, c) JOIN_(a, b, c)
#define NAME(primitive) JOIN(primitive, TYPE, ISA) /* product_f32_avx2 */
#define TYPED_(a, b) a##_##b
#define TYPED(a, b) TYPED_(a, b)

#endif
