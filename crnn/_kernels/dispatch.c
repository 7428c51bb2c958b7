/* Which of the compiled instruction sets this machine can run. Nothing else asks about the processor. */
#include "isa.h"

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    int registers[4];
    __cpuidex(registers, (int)leaf, (int)subleaf);
    for (int i = 0; i < 4; i++)
        out[i] = (uint32_t)registers[i];
}
static uint64_t xcr0(void)
{
    return _xgetbv(0);
}
#else
#include <cpuid.h>
static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
}
static uint64_t xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}
#endif

enum { AVX2 = 1, AVX512 = 2 };

/* The processor must have the instructions and the operating system must save the registers. */
static int offered(void)
{
    enum { EAX, EBX, ECX, EDX };
    const uint32_t osxsave = 1u << 27, avx = 1u << 28, fma = 1u << 12; /* leaf 1, ECX */
    const uint32_t avx2 = 1u << 5;                                     /* leaf 7, EBX */
    const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    const uint64_t ymm_state = 0x6, zmm_state = 0xe6;
    uint32_t leaf[4];

    cpuid(0, 0, leaf);
    if (leaf[EAX] < 7)
        return 0;
    cpuid(1, 0, leaf);
    if ((leaf[ECX] & (osxsave | avx | fma)) != (osxsave | avx | fma))
        return 0;
    const uint64_t saved = xcr0();
    cpuid(7, 0, leaf);
    if ((saved & ymm_state) != ymm_state || !(leaf[EBX] & avx2))
        return 0;
    if ((saved & zmm_state) != zmm_state || (leaf[EBX] & avx512) != avx512)
        return AVX2;
    return AVX2 | AVX512;
}

const crnn_isa *crnn_available(int i)
{
    const int has = offered();
    if ((has & AVX512) && i-- == 0)
        return &crnn_isa_avx512;
    if ((has & AVX2) && i-- == 0)
        return &crnn_isa_avx2;
    return i == 0 ? &crnn_isa_portable : NULL;
}

#elif defined(__aarch64__) || defined(_M_ARM64)

/* Advanced SIMD is part of every aarch64. */
const crnn_isa *crnn_available(int i)
{
    return i == 0 ? &crnn_isa_neon : i == 1 ? &crnn_isa_portable : NULL;
}

#else

const crnn_isa *crnn_available(int i)
{
    return i == 0 ? &crnn_isa_portable : NULL;
}

#endif
