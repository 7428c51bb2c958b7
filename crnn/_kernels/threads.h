/* What threads that run without Python need of the machine: atomic integers, a clock, a short wait,
   the process they are in. */
#ifndef CRNN_THREADS_H
#define CRNN_THREADS_H

#if defined(_MSC_VER) && !defined(__clang__)

#include <intrin.h>
#define CRNN_INLINE static __forceinline
typedef volatile long crnn_atomic;
CRNN_INLINE long crnn_load(crnn_atomic *a)
{
    return _InterlockedOr(a, 0);
}
CRNN_INLINE void crnn_store(crnn_atomic *a, long value)
{
    _InterlockedExchange(a, value);
}
CRNN_INLINE long crnn_fetch_add(crnn_atomic *a, long value)
{
    return _InterlockedExchangeAdd(a, value);
}

#else

#define CRNN_INLINE static inline __attribute__((unused))
typedef long crnn_atomic;
CRNN_INLINE long crnn_load(crnn_atomic *a)
{
    return __atomic_load_n(a, __ATOMIC_ACQUIRE);
}
CRNN_INLINE void crnn_store(crnn_atomic *a, long value)
{
    __atomic_store_n(a, value, __ATOMIC_RELEASE);
}
CRNN_INLINE long crnn_fetch_add(crnn_atomic *a, long value)
{
    return __atomic_fetch_add(a, value, __ATOMIC_ACQ_REL);
}

#endif

/* Tell the processor that this is a spin. */
CRNN_INLINE void crnn_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(_M_X64)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
CRNN_INLINE double crnn_seconds(void)
{
    LARGE_INTEGER now, frequency;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&frequency);
    return (double)now.QuadPart / (double)frequency.QuadPart;
}
CRNN_INLINE void crnn_sleep(void) /* Sleep(1) would take up to 16 ms, a whole tick of its clock */
{
    SwitchToThread();
}
CRNN_INLINE long crnn_process(void) /* there is no fork */
{
    return 0;
}
#else
#include <time.h>
#include <unistd.h>
CRNN_INLINE long crnn_process(void)
{
    return (long)getpid();
}
CRNN_INLINE double crnn_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
CRNN_INLINE void crnn_sleep(void) /* about 0.1 ms with the kernel's slack */
{
    const struct timespec wait = {0, 50000};
    nanosleep(&wait, NULL);
}
#endif

#endif
