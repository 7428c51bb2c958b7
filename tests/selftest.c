/* Tests every primitive of every available instruction set against simple loops.

   It needs no Python, and runs wherever the kernels run:

       cc -std=c11 -O2 -ffp-contract=off -Icrnn/_kernels tests/selftest.c crnn/_kernels/?*.c -lm

   It prints one line for each instruction set, type and primitive, then a checksum for each
   instruction set. Instruction sets with fused multiply-adds must have the same checksum on all
   machines. The exit code is 0 if nothing failed. `--all` also tests tanh, exp and log on all 2^32
   floats (some minutes), `--ulp64 COUNT` on COUNT random doubles.

   The file includes itself twice, once for each type. The tests are in the second half, where REAL
   is the type and `wide` the type of the loops. */
#ifndef REAL

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "source.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(WITH_ASAN)
#include <sanitizer/asan_interface.h>
#define FORBID(p, bytes) ASAN_POISON_MEMORY_REGION(p, bytes)
#define ALLOW(p, bytes) ASAN_UNPOISON_MEMORY_REGION(p, bytes)
#else
#define FORBID(p, bytes) ((void)(p), (void)(bytes))
#define ALLOW(p, bytes) ((void)(p), (void)(bytes))
#endif

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define T(name) JOIN(name, TYPE) /* test_product_f32 */
#define LENGTH(array) ((ptrdiff_t)(sizeof(array) / sizeof((array)[0])))

/* 0, 1, lanes - 1, lanes, lanes + 1 for 2, 4, 8 and 16 lanes and panels of 32 columns, primes */
static const ptrdiff_t SIZES[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 37, 101};
enum { LONGEST = 1100 }; /* longer than any block of rows, columns or terms in a kernel */

/* Row counts near tiles of 6 and 12 rows, and some of several tiles. */
static const ptrdiff_t ROW_COUNTS[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 24, 25, 37};
enum { ROWS = 37 };

static const ptrdiff_t SHARD_COUNTS[] = {1, 2, 3, 5, 16};

/* ---- counts and output ---- */

static const char *isa_name, *type_name, *primitive;
static char label[256]; /* the case: sizes and options */
static long checks, failures, passed_lines, failed_lines;
enum { SHOWN = 5 }; /* printed failures per line */

#define CASE(...) snprintf(label, sizeof label, __VA_ARGS__)

static void fail(const char *format, ...)
{
    if (failures++ >= SHOWN)
        return;
    va_list arguments;
    printf("  %s %s %s, %s: ", isa_name, type_name, primitive, label);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

static void begin_line(const char *isa, const char *type, const char *name)
{
    isa_name = isa, type_name = type, primitive = name;
    checks = failures = 0;
    CASE("-");
}

static void end_line(void)
{
    printf("%-6s %-8s %s %-22s %9ld checks", failures ? "FAILED" : "ok", isa_name, type_name,
           primitive, checks);
    printf(failures ? ", %ld failed\n" : "\n", failures);
    fflush(stdout);
    if (failures)
        failed_lines++;
    else
        passed_lines++;
}

/* ---- random numbers, the same everywhere ---- */

static uint64_t random_state;
static ptrdiff_t vector = 1; /* numbers in a vector of the instruction set under test */

static uint64_t random_bits(void) /* splitmix64 */
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static ptrdiff_t random_below(ptrdiff_t n)
{
    return (ptrdiff_t)(random_bits() % (uint64_t)n);
}

/* ---- the same bits on all instruction sets with fused multiply-adds ---- */

/* A primitive's outputs on the first instruction set with fused multiply-adds, for the others. */
static struct {
    uint64_t *bits;
    size_t count, room, next;
    const char *isa; /* which set that is */
    int on;
} recorded;

static int fuses(const crnn_isa *isa)
{
    return strcmp(isa->name, "portable") != 0;
}

static void record(uint64_t bits, const char *what, ptrdiff_t i, ptrdiff_t j)
{
    if (!recorded.on)
        return;
    if (strcmp(recorded.isa, isa_name) == 0) {
        if (recorded.count == recorded.room) {
            recorded.room = recorded.room ? 2 * recorded.room : 4096;
            recorded.bits = realloc(recorded.bits, recorded.room * sizeof *recorded.bits);
            if (!recorded.bits) {
                printf("out of memory\n");
                exit(2);
            }
        }
        recorded.bits[recorded.count++] = bits;
        return;
    }
    checks++;
    if (recorded.next >= recorded.count || recorded.bits[recorded.next] != bits)
        fail("%s[%td, %td] has the bits %" PRIx64 ", not those of %s, %" PRIx64, what, i, j, bits,
             recorded.isa, recorded.next < recorded.count ? recorded.bits[recorded.next] : 0);
    recorded.next++;
}

/* Clipped elements of a gradient: certain ones, and ones that depend on rounding. */
typedef struct {
    long certain, perhaps;
} clip_count;

/* FNV-1a over the values of the fixed workload. */
static uint64_t checksum;

static void add_to_checksum(uint64_t bits)
{
    for (int byte = 0; byte < 8; byte++)
        checksum = (checksum ^ (bits >> (8 * byte) & 255)) * 0x100000001b3u;
}

/* ---- tanh to more digits than double has ---- */

/* If long double is double, the oracle is the C library's tanh, with an error of up to 1 ulp. */
#define ORACLE_ULP (LDBL_MANT_DIG > DBL_MANT_DIG ? 0.0 : 1.0)

/* Lambert's continued fraction, x / (1 + x^2 / (3 + x^2 / (5 + ...))). All terms are positive, so
   nothing cancels. It uses no function of the C library, whose long doubles may be doubles. */
static long double tanh_oracle(long double x)
{
    const long double magnitude = fabsl(x);
    if (LDBL_MANT_DIG == DBL_MANT_DIG)
        return tanh((double)x);
    if (isnan(x))
        return x;
    if (magnitude > 30) /* 1 - tanh(30) = 2^-86 */
        return x > 0 ? 1 : -1;
    if (magnitude < 1e-8L) /* the next term is 2/15 x^5 */
        return x - x * x * x / 3;
    const int levels = 14 + 2 * (int)magnitude;
    long double below = 2 * levels + 1;
    for (int level = levels; level > 0; level--)
        below = (2 * level - 1) + x * x / below;
    return x / below;
}

/* The largest error in ulp from tanh.h, measured over all floats and over 4.9e8 doubles. */
static double tanh_bound(const crnn_isa *isa, int mantissa)
{
    if (mantissa == FLT_MANT_DIG)
        return fuses(isa) ? 1.7455 : 1.6795;
    return (fuses(isa) ? 1.8735 : 1.8725) + ORACLE_ULP;
}

/* ---- exp and log to more digits than double has ---- */

#define LN2_HIGH 0x1.62e42fefa39efp-1L /* 53 bits, so that its product with k is exact */
#define LN2_LOW 0x3.5793c7673007e5ed5e81e6864ce5p-57L

/* x = k ln2 + r, 2^k times the series of exp(r). */
static long double exp_oracle(long double x)
{
    if (LDBL_MANT_DIG == DBL_MANT_DIG)
        return exp((double)x);
    if (isnan(x))
        return x;
    if (fabsl(x) > 2000) /* far outside a double's range */
        return x > 0 ? (long double)INFINITY : 0;
    const int k = (int)(x * 1.4426950408889634L + (x < 0 ? -0.5L : 0.5L));
    const long double r = x - k * LN2_HIGH - k * LN2_LOW;
    long double sum = 1;
    for (int n = 30; n > 0; n--)
        sum = 1 + sum * r / n;
    return ldexpl(sum, k);
}

/* x = 2^k m, m - 1 = f, and log(m) = 2 atanh(f / (2 + f)), whose terms have one sign. A subnormal
   double counts as 0, as kernels.h says. */
static long double log_oracle(long double x)
{
    if (x >= 0 && x < DBL_MIN)
        return -(long double)INFINITY;
    if (LDBL_MANT_DIG == DBL_MANT_DIG)
        return x < 0 ? (double)NAN : log((double)x);
    if (isnan(x) || x < 0)
        return NAN;
    if (isinf(x))
        return x;
    int k;
    long double m = frexpl(x, &k), sum = 0;
    if (m < 0.7071067811865476L)
        m *= 2, k--;
    const long double s = (m - 1) / (m + 1);
    for (int n = 49; n > 0; n -= 2)
        sum = sum * s * s + 2.0L / n;
    return k * LN2_HIGH + (sum * s + k * LN2_LOW);
}

static double exp_of_float(double x)
{
    return exp(x);
}

static double log_of_float(double x)
{
    return x < 0 ? (double)NAN : x < (double)FLT_MIN ? -(double)INFINITY : log(x);
}

/* The primitives exp and log, and the largest errors in ulp from exponential.h, with and without
   fused multiply-adds: measured over all floats and, with a margin, over 1e8 doubles. */
typedef struct {
    const char *name;
    int is_log;
    double (*of_float)(double);
    long double (*of_double)(long double);
    double f32[2], f64[2];
} exponential;

static const exponential EXP = {"exp", 0, exp_of_float, exp_oracle, {1.009, 0.977}, {1.05, 1.02}};
static const exponential LOG = {"log", 1, log_of_float, log_oracle, {0.9545, 0.9545}, {0.88, 0.88}};

static double exponential_bound(const exponential *function, const crnn_isa *isa, int mantissa)
{
    if (mantissa == FLT_MANT_DIG)
        return function->f32[!fuses(isa)];
    return function->f64[!fuses(isa)] + ORACLE_ULP;
}

/* ---- callers' arrays ---- */

/* IEEE binary16, by its definition. */
static double half_value(unsigned bits)
{
    const double fraction = (double)(bits % 1024) / 1024;
    const int exponent = (int)(bits / 1024 % 32);
    double value;
    if (exponent == 31)
        value = fraction == 0 ? (double)INFINITY : (double)NAN;
    else
        value = exponent ? ldexp(1 + fraction, exponent - 15) : ldexp(fraction, -14);
    return bits & 0x8000u ? -value : value;
}

static const struct {
    int kind, size;
} KINDS[] = {{'f', 2}, {'f', 4}, {'f', 8}, {'f', (int)sizeof(long double)},
             {'i', 1}, {'i', 2}, {'i', 4}, {'i', 8},
             {'u', 1}, {'u', 2}, {'u', 4}, {'u', 8}};

enum { SAMPLES = 7, STEPS = 6, FEATURES = 17, BYTES = 1 << 16 };
static char gather_data[BYTES];

/* Strides in bytes: contiguous, odd and unaligned, Fortran order, windows that share their rows,
   windows of one number, backwards, zero, and samples with any start. */
static const int64_t gather_starts[SAMPLES] = {7, 0, 3, 3, 12, 1, 20};

static crnn_source gather_source(int layout, int kind, int size, int swapped, ptrdiff_t features)
{
    const ptrdiff_t s = size, f = features, n = SAMPLES, t = STEPS;
    crnn_source x = {NULL, t * f * s, f * s, s, NULL, kind, size, swapped};
    if (layout == 1)
        x.stride_i = s + 1, x.stride_t = f * (s + 1) + 3, x.stride_n = t * (f * (s + 1) + 3) + 1;
    if (layout == 2)
        x.stride_n = s, x.stride_t = n * s, x.stride_i = n * t * s;
    if (layout == 3)
        x.stride_n = x.stride_t;
    if (layout == 4)
        x.stride_n = x.stride_t = x.stride_i = s;
    if (layout == 5)
        x.stride_n = -x.stride_n, x.stride_t = -x.stride_t, x.stride_i = -x.stride_i;
    if (layout == 6)
        x.stride_n = x.stride_t = x.stride_i = 0;
    if (layout == 7)
        x.starts = gather_starts;
    x.data = gather_data + (layout == 5 ? BYTES - 64 : layout == 1 ? 1 : 0);
    return x;
}

static ptrdiff_t gather_place(const crnn_source *x, ptrdiff_t n, ptrdiff_t t, ptrdiff_t i)
{
    const ptrdiff_t sample = x->starts ? (ptrdiff_t)x->starts[n] * x->stride_t : n * x->stride_n;
    return x->data - gather_data + sample + t * x->stride_t + i * x->stride_i;
}

/* ---- names of options in messages ---- */

static const char *const FINISH[] = {"linear", "tanh", "relu", "tanh slope", "relu slope"};
static const char *const UPDATE[] = {"store", "add", "descend"};

/* ---- both types ---- */

#define REAL float
#define TYPE f32
#define wide double
#define REAL_MANT_DIG FLT_MANT_DIG
#define REAL_MIN_EXP FLT_MIN_EXP
#define REAL_MAX FLT_MAX
#define REAL_BITS uint32_t
#include "selftest.c"
#undef REAL
#undef TYPE
#undef wide
#undef REAL_MANT_DIG
#undef REAL_MIN_EXP
#undef REAL_MAX
#undef REAL_BITS

#define REAL double
#define TYPE f64
#define wide long double
#define REAL_MANT_DIG DBL_MANT_DIG
#define REAL_MIN_EXP DBL_MIN_EXP
#define REAL_MAX DBL_MAX
#define REAL_BITS uint64_t
#include "selftest.c"

/* ---- tanh of all floats, of random doubles ---- */

/* All floats: positive ones against the oracle, negative ones against the positive. */
static void test_tanh_everywhere(void)
{
    enum { ISAS = 4, BLOCK = 1 << 12 };
    static float x[BLOCK], minus_x[BLOCK], out[BLOCK], minus_out[BLOCK], first[BLOCK];
    static double exact[BLOCK], worst[ISAS];
    static float where[ISAS];
    static long wrong[ISAS], differ[ISAS];
    int isas = 0;
    while (isas < ISAS && crnn_available(isas))
        isas++;
    for (uint64_t from = 0; from < 0x80000000u; from += BLOCK) {
        for (uint32_t i = 0; i < BLOCK; i++) {
            const uint32_t bits = (uint32_t)from + i;
            memcpy(&x[i], &bits, sizeof bits);
            minus_x[i] = -x[i];
            exact[i] = tanh(x[i]);
        }
        int have_first = 0;
        for (int n = 0; n < isas; n++) {
            const crnn_isa *isa = crnn_available(n);
            isa->f32->tanh(out, x, BLOCK);
            isa->f32->tanh(minus_out, minus_x, BLOCK);
            for (int i = 0; i < BLOCK; i++) {
                if (isnan(x[i])) {
                    wrong[n] += !isnan(out[i]) || !isnan(minus_out[i]);
                    continue;
                }
                const double off = ulps_f32(out[i], exact[i]);
                if (!(off <= worst[n]))
                    worst[n] = off, where[n] = x[i];
                wrong[n] += bits_f32(minus_out[i]) != bits_f32(-out[i]) || !(out[i] <= 1);
            }
            if (!fuses(isa))
                continue;
            for (int i = 0; have_first && i < BLOCK; i++)
                differ[n] += bits_f32(out[i]) != bits_f32(first[i]);
            if (!have_first)
                memcpy(first, out, sizeof first);
            have_first = 1;
        }
    }
    for (int n = 0; n < isas; n++) {
        begin_line(crnn_available(n)->name, "f32", "tanh of all floats");
        CASE("2^32 inputs");
        checks = 1;
        printf("  %s f32 tanh: at most %.4f ulp, at %a (%.9g)\n", isa_name, worst[n], where[n],
               where[n]);
        if (!(worst[n] <= tanh_bound(crnn_available(n), FLT_MANT_DIG)))
            fail("%.4f ulp at %a", worst[n], where[n]);
        if (wrong[n])
            fail("%ld inputs break oddness, NaN or |tanh| <= 1", wrong[n]);
        if (differ[n])
            fail("%ld outputs differ from the first fusing instruction set's", differ[n]);
        end_line();
    }
}

/* Random doubles: half of them uniform up to where tanh is 1, half with a uniform exponent. */
static void test_tanh_of_doubles(long long count)
{
    enum { BLOCK = 1 << 10 };
    static double x[BLOCK], out[BLOCK];
    for (int n = 0; crnn_available(n); n++) {
        const crnn_isa *isa = crnn_available(n);
        double worst = 0, where = 0;
        begin_line(isa->name, "f64", "tanh of many doubles");
        random_state = 64;
        for (long long done = 0; done < count; done += BLOCK) {
            for (int i = 0; i < BLOCK; i++) {
                const double unit = (double)(random_bits() >> 11) * 0x1p-53;
                x[i] = i % 2 ? 20 * unit : ldexp(1 + unit, (int)random_below(40) - 35);
            }
            isa->f64->tanh(out, x, BLOCK);
            for (int i = 0; i < BLOCK && done + i < count; i++, checks++) {
                const double off = ulps_f64(out[i], tanh_oracle(x[i]));
                if (!(off <= worst))
                    worst = off, where = x[i];
            }
        }
        CASE("%lld random inputs", count);
        printf("  %s f64 tanh: at most %.4f ulp, at %a (%.17g)\n", isa_name, worst, where, where);
        if (!(worst <= tanh_bound(isa, DBL_MANT_DIG)))
            fail("%.4f ulp at %a", worst, where);
        end_line();
    }
}

/* ---- exp and log of all floats, of random doubles ---- */

/* All floats, of either sign. */
static void test_exponential_everywhere(const exponential *function)
{
    enum { ISAS = 4, BLOCK = 1 << 12 };
    static float x[BLOCK], out[BLOCK], first[BLOCK];
    static double exact[BLOCK], worst[ISAS];
    static float where[ISAS];
    static long differ[ISAS];
    int isas = 0;
    while (isas < ISAS && crnn_available(isas))
        isas++;
    for (int n = 0; n < isas; n++)
        worst[n] = 0, differ[n] = 0;
    for (uint64_t from = 0; from < 0x100000000u; from += BLOCK) {
        for (uint32_t i = 0; i < BLOCK; i++) {
            const uint32_t bits = (uint32_t)from + i;
            memcpy(&x[i], &bits, sizeof bits);
            exact[i] = function->of_float(x[i]);
        }
        int have_first = 0;
        for (int n = 0; n < isas; n++) {
            const crnn_isa *isa = crnn_available(n);
            (function->is_log ? isa->f32->log : isa->f32->exp)(out, x, BLOCK);
            for (int i = 0; i < BLOCK; i++) {
                const double off = function_ulps_f32(out[i], exact[i]);
                if (!(off <= worst[n]))
                    worst[n] = off, where[n] = x[i];
            }
            if (!fuses(isa))
                continue;
            for (int i = 0; have_first && i < BLOCK; i++)
                differ[n] += bits_f32(out[i]) != bits_f32(first[i]);
            if (!have_first)
                memcpy(first, out, sizeof first);
            have_first = 1;
        }
    }
    for (int n = 0; n < isas; n++) {
        char title[32];
        snprintf(title, sizeof title, "%s of all floats", function->name);
        begin_line(crnn_available(n)->name, "f32", title);
        CASE("2^32 inputs");
        checks = 1;
        printf("  %s f32 %s: at most %.4f ulp, at %a (%.9g)\n", isa_name, function->name, worst[n],
               where[n], where[n]);
        if (!(worst[n] <= exponential_bound(function, crnn_available(n), FLT_MANT_DIG)))
            fail("%.4f ulp at %a", worst[n], where[n]);
        if (differ[n])
            fail("%ld outputs differ from the first fusing instruction set's", differ[n]);
        end_line();
    }
}

/* Random doubles: half of them in a network's range, half over the whole range. */
static void test_exponential_of_doubles(const exponential *function, long long count)
{
    enum { BLOCK = 1 << 10 };
    static double x[BLOCK], out[BLOCK];
    for (int n = 0; crnn_available(n); n++) {
        const crnn_isa *isa = crnn_available(n);
        double worst = 0, where = 0;
        char title[32];
        snprintf(title, sizeof title, "%s of many doubles", function->name);
        begin_line(isa->name, "f64", title);
        random_state = 64;
        for (long long done = 0; done < count; done += BLOCK) {
            for (int i = 0; i < BLOCK; i++)
                x[i] = drawn_for_f64(function, i % 2);
            (function->is_log ? isa->f64->log : isa->f64->exp)(out, x, BLOCK);
            for (int i = 0; i < BLOCK && done + i < count; i++, checks++) {
                const double off = function_ulps_f64(out[i], function->of_double(x[i]));
                if (!(off <= worst))
                    worst = off, where = x[i];
            }
        }
        CASE("%lld random inputs", count);
        printf("  %s f64 %s: at most %.4f ulp, at %a (%.17g)\n", isa_name, function->name, worst,
               where, where);
        if (!(worst <= exponential_bound(function, isa, DBL_MANT_DIG)))
            fail("%.4f ulp at %a", worst, where);
        end_line();
    }
}

/* ---- main ---- */

typedef void (*test)(const crnn_isa *isa);

static const struct {
    const char *name;
    test f32, f64;
} TESTS[] = {
    {"pack", test_pack_f32, test_pack_f64},
    {"pack_transposed", test_pack_transposed_f32, test_pack_transposed_f64},
    {"product", test_product_f32, test_product_f64},
    {"row_product", test_row_product_f32, test_row_product_f64},
    {"row_product_transposed", test_row_product_transposed_f32, test_row_product_transposed_f64},
    {"accumulate", test_accumulate_f32, test_accumulate_f64},
    {"sum", test_sum_f32, test_sum_f64},
    {"update", test_update_f32, test_update_f64},
    {"tanh", test_tanh_f32, test_tanh_f64},
    {"exp", test_exp_f32, test_exp_f64},
    {"log", test_log_f32, test_log_f64},
    {"probes", test_probes_f32, test_probes_f64},
};

static void on_every_isa(const char *type, const char *name, test run)
{
    recorded.count = 0;
    recorded.isa = NULL;
    for (int i = 0; crnn_available(i); i++) {
        const crnn_isa *isa = crnn_available(i);
        begin_line(isa->name, type, name);
        recorded.on = fuses(isa);
        recorded.next = 0;
        if (recorded.on && !recorded.isa)
            recorded.isa = isa->name;
        random_state = 1;
        vector = (strcmp(type, "f32") ? isa->f64->panel_width : isa->f32->panel_width) / 2;
        run(isa);
        end_line();
    }
    recorded.on = 0;
}

int main(int argc, char **argv)
{
    int all = 0;
    long long doubles = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0) {
            all = 1;
        } else if (strcmp(argv[i], "--ulp64") == 0 && i + 1 < argc) {
            doubles = atoll(argv[++i]);
        } else {
            fprintf(stderr, "usage: %s [--all] [--ulp64 COUNT]\n", argv[0]);
            return 2;
        }
    }

    begin_line("any", "f32", "gather");
    random_state = 1;
    test_gather_f32();
    end_line();
    begin_line("any", "f64", "gather");
    random_state = 1;
    test_gather_f64();
    end_line();
    for (ptrdiff_t t = 0; t < LENGTH(TESTS); t++) {
        on_every_isa("f32", TESTS[t].name, TESTS[t].f32);
        on_every_isa("f64", TESTS[t].name, TESTS[t].f64);
    }
    if (all) {
        test_tanh_everywhere();
        test_exponential_everywhere(&EXP);
        test_exponential_everywhere(&LOG);
    }
    if (doubles) {
        test_tanh_of_doubles(doubles);
        test_exponential_of_doubles(&EXP, doubles);
        test_exponential_of_doubles(&LOG, doubles);
    }

    uint64_t fused = 0;
    for (int i = 0; crnn_available(i); i++) {
        const crnn_isa *isa = crnn_available(i);
        begin_line(isa->name, "all", "checksum");
        checks = 1;
        checksum = 0xcbf29ce484222325u;
        random_state = 1;
        vector = CRNN_ROW_BYTES / 4; /* the same rows on all machines */
        workload_f32(isa);
        workload_f64(isa);
        if (fuses(isa) && fused && checksum != fused)
            fail("%016" PRIx64 ", not %016" PRIx64, checksum, fused);
        if (fuses(isa) && !fused)
            fused = checksum;
        printf("checksum %s %016" PRIx64 "\n", isa->name, checksum);
        end_line();
    }
    free(recorded.bits);
    printf("%ld passed, %ld failed\n", passed_lines, failed_lines);
    return failed_lines != 0;
}

#else /* REAL: the tests of one type */

#define ROUNDING ((double)(REAL_MANT_DIG == 24 ? FLT_EPSILON : DBL_EPSILON) / 2)
#define LANES (CRNN_ROW_BYTES / (ptrdiff_t)sizeof(REAL)) /* numbers in a line */
#define UNLIMITED ((REAL)INFINITY)
#define MATRIX T(matrix)

/* ---- bits ---- */

/* The value's bits as a number, independent of byte order. All NaNs give the same bits. */
static uint64_t T(bits)(REAL value)
{
    REAL_BITS bits;
    if (isnan(value))
        return 0x7ff8000000000000u;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Units in the last place between a result and the exact value. */
static double T(ulps)(REAL got, wide exact)
{
    int exponent;
    if (isinf(exact) || isinf(got) || isnan(got))
        return (wide)got == exact ? 0 : INFINITY;
    frexp((double)exact, &exponent); /* rounding up to a power of two doubles the unit only */
    exponent = exact == 0 || exponent < REAL_MIN_EXP ? REAL_MIN_EXP : exponent;
    return fabs(ldexp((double)((wide)got - exact), REAL_MANT_DIG - exponent));
}

/* ---- matrices between canaries ---- */

/* rows x n, with rows `ld` apart and `width` wide (n and its padding). Before, between and after
   the rows are NaNs of one pattern: reading one makes a result NaN, writing there is detected. */
typedef struct {
    REAL *at;
    ptrdiff_t rows, n, width, ld;
    REAL *block;
    ptrdiff_t size, start; /* numbers in the block, and before `at` */
} MATRIX;

enum { T(margin) = 512 / sizeof(REAL) };

static MATRIX T(live)[128];
static int T(live_count);

static REAL T(canary)(void)
{
    const REAL_BITS bits = (REAL_BITS)(REAL_MANT_DIG == 24 ? 0x7fc5a5a5u : 0x7ff8a5a5a5a5a5a5u);
    REAL value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static ptrdiff_t T(padded)(ptrdiff_t n)
{
    return (n + vector - 1) / vector * vector;
}

/* NaN in the n numbers of a row, zeros after them. Its alignment to 64 bytes and the distance of
   its rows are random. */
static MATRIX T(allocate)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t width)
{
    static const ptrdiff_t gaps[] = {0, 0, 1, 5, LANES};
    const ptrdiff_t gap = gaps[random_below(LENGTH(gaps))];
    const ptrdiff_t shift = random_below(2) ? random_below(LANES) : 0;
    const REAL canary = T(canary)();
    MATRIX matrix = {.rows = rows, .n = n, .width = width, .ld = width + gap};

    matrix.size = 2 * T(margin) + 2 * LANES + rows * matrix.ld;
    matrix.block = malloc((size_t)matrix.size * sizeof(REAL));
    if (!matrix.block || T(live_count) == LENGTH(T(live))) {
        printf("out of memory\n");
        exit(2);
    }
    const uintptr_t off = (uintptr_t)(matrix.block + T(margin)) % CRNN_ROW_BYTES;
    matrix.start = T(margin) + shift;
    if (off)
        matrix.start += (ptrdiff_t)((CRNN_ROW_BYTES - off) / sizeof(REAL));
    matrix.at = matrix.block + matrix.start;
    for (ptrdiff_t i = 0; i < matrix.size; i++)
        memcpy(&matrix.block[i], &canary, sizeof canary);
    FORBID(matrix.block, (size_t)matrix.size * sizeof(REAL));
    for (ptrdiff_t r = 0; r < rows; r++) {
        ALLOW(matrix.at + r * matrix.ld, (size_t)width * sizeof(REAL));
        for (ptrdiff_t i = n; i < width; i++)
            matrix.at[r * matrix.ld + i] = 0;
    }
    return T(live)[T(live_count)++] = matrix;
}

/* Padded as the kernels require for outputs and for w, init, h and b. */
static MATRIX T(padded_matrix)(ptrdiff_t rows, ptrdiff_t n)
{
    return T(allocate)(rows, n, T(padded)(n));
}

/* Between -1 and 1, with all digits of the type. */
static REAL T(draw)(void)
{
    const int digits = REAL_MANT_DIG - 1;
    const int64_t integer = (int64_t)(random_bits() >> (63 - digits));
    return (REAL)(integer - ((int64_t)1 << digits)) / (REAL)((int64_t)1 << digits);
}

/* Small integers, whose products and sums are exact in any order. */
static REAL T(draw_integer)(void)
{
    return (REAL)(random_below(7) - 3);
}

static MATRIX T(fill)(MATRIX matrix, REAL (*draw)(void))
{
    for (ptrdiff_t r = 0; r < matrix.rows; r++)
        for (ptrdiff_t i = 0; i < matrix.width; i++)
            matrix.at[r * matrix.ld + i] = i < matrix.n ? draw() : 0;
    return matrix;
}

static MATRIX T(drawn)(ptrdiff_t rows, ptrdiff_t n)
{
    return T(fill)(T(padded_matrix)(rows, n), T(draw));
}

/* As `a` may be: no padding after a row's n numbers. */
static MATRIX T(drawn_bare)(ptrdiff_t rows, ptrdiff_t n)
{
    return T(fill)(T(allocate)(rows, n, n), T(draw));
}

static MATRIX T(copy)(MATRIX from)
{
    const MATRIX to = T(allocate)(from.rows, from.n, from.width);
    for (ptrdiff_t r = 0; r < from.rows; r++)
        for (ptrdiff_t i = 0; i < from.width; i++)
            to.at[r * to.ld + i] = from.at[r * from.ld + i];
    return to;
}

static REAL T(item)(MATRIX matrix, ptrdiff_t r, ptrdiff_t i)
{
    return matrix.at[r * matrix.ld + i];
}

/* Checks the canaries of all matrices from the `from`-th on, and frees them. */
static void T(release)(int from)
{
    const REAL canary = T(canary)();
    while (T(live_count) > from) {
        const MATRIX matrix = T(live)[--T(live_count)];
        ALLOW(matrix.block, (size_t)matrix.size * sizeof(REAL));
        checks++;
        for (ptrdiff_t i = 0; i < matrix.size; i++) {
            const ptrdiff_t inside = i - matrix.start;
            if (inside >= 0 && matrix.ld && inside / matrix.ld < matrix.rows &&
                inside % matrix.ld < matrix.width)
                continue;
            if (memcmp(&matrix.block[i], &canary, sizeof canary) != 0)
                fail("a %td x %td matrix (rows %td apart, %td wide) is written at %td from its "
                     "start: %a",
                     matrix.rows, matrix.n, matrix.ld, matrix.width, inside,
                     (double)matrix.block[i]);
        }
        free(matrix.block);
    }
}

/* ---- comparisons ---- */

/* If `wide` is not wider than REAL, the reference has the same rounding errors again. */
#define REFERENCE (REAL_MANT_DIG == LDBL_MANT_DIG ? 2 : 1)

static void T(near)(REAL got, wide expected, double allowed, const char *what, ptrdiff_t i,
                    ptrdiff_t j)
{
    checks++;
    const double off = fabs((double)((wide)got - expected));
    if (!(off <= REFERENCE * allowed))
        fail("%s[%td, %td] = %.17g, expected %.17g, off by %.3g, allowed %.3g", what, i, j,
             (double)got, (double)expected, off, REFERENCE * allowed);
}

static void T(same)(REAL got, REAL expected, const char *what, ptrdiff_t i, ptrdiff_t j)
{
    checks++;
    if (T(bits)(got) != T(bits)(expected))
        fail("%s[%td, %td] = %a, expected exactly %a", what, i, j, (double)got, (double)expected);
}

/* Every row has zeros after it; instruction sets with fused multiply-adds give the same numbers. */
static void T(settle)(MATRIX out, const char *what)
{
    for (ptrdiff_t r = 0; r < out.rows; r++)
        for (ptrdiff_t i = 0; i < out.width; i++) {
            const REAL value = T(item)(out, r, i);
            checks++;
            if (i >= out.n && !(value == 0))
                fail("%s[%td, %td] = %g in the padding", what, r, i, (double)value);
            if (i < out.n)
                record(T(bits)(value), what, r, i);
        }
}

/* a * b. Debian 12's qemu 7.2 for s390x multiplies two widened numbers (MDEBR, MXDBR) wrongly.
   `volatile` hides the widening, so the compiler uses another instruction. */
static wide T(times)(REAL a, REAL b)
{
    volatile wide left = a;
    return left * b;
}

/* Error of a chain of `terms` multiply-adds. Each step rounds the partial sum once if fused, else
   twice: terms + 4 rounding errors of the sum of absolute values. */
static double T(chain)(ptrdiff_t terms, double absolute)
{
    return (double)(terms + 4) * ROUNDING * absolute;
}

/* tanh has slope <= 1, and an error of at most 2 ulp (4 rounding errors of its value). */
static double T(through_tanh)(double off, double value)
{
    return off + 5 * ROUNDING * fabs(value) + (double)(REAL)ldexp(1, REAL_MIN_EXP - REAL_MANT_DIG);
}

/* 1 - h^2 has at most 3 rounding errors of 1, and the product with it one more. */
static double T(through_slope)(double off, double value)
{
    return off + 4 * ROUNDING * fabs(value);
}

/* finish(sum) and its allowed error, from the sum and its allowed error */
static wide T(finished)(wide sum, int finish, REAL h, double *allowed)
{
    if (finish == CRNN_TANH) {
        const wide value = REAL_MANT_DIG == 24 ? tanh((double)sum) : tanh_oracle(sum);
        *allowed = T(through_tanh)(*allowed, (double)value);
        return value;
    }
    if (finish == CRNN_TANH_SLOPE) {
        *allowed = T(through_slope)(*allowed, (double)sum);
        return sum * (1 - T(times)(h, h));
    }
    if (finish == CRNN_RELU)
        return sum > 0 ? sum : 0;
    if (finish == CRNN_RELU_SLOPE)
        return h > 0 ? sum : 0;
    return sum;
}

/* ---- pack, pack_transposed ---- */

static void T(pack_case)(const crnn_isa *isa, ptrdiff_t k, ptrdiff_t n, int transposed)
{
    const ptrdiff_t width = isa->TYPE->panel_width;
    const ptrdiff_t panels = (n + width - 1) / width;
    const MATRIX w = transposed ? T(drawn)(n, k) : T(drawn)(k, n);
    const MATRIX packed = T(allocate)(1, panels * width * k, panels * width * k);

    CASE("k=%td n=%td", k, n);
    if (transposed)
        isa->TYPE->pack_transposed(packed.at, w.at, w.ld, k, n);
    else
        isa->TYPE->pack(packed.at, w.at, w.ld, k, n);
    for (ptrdiff_t p = 0; p < panels; p++)
        for (ptrdiff_t i = 0; i < k; i++)
            for (ptrdiff_t j = 0; j < width; j++) {
                const ptrdiff_t column = p * width + j;
                const REAL got = packed.at[(p * k + i) * width + j];
                if (column < n)
                    T(same)(got, transposed ? T(item)(w, column, i) : T(item)(w, i, column),
                            "panels", i, column);
                else if (!isnan(got)) /* unchanged: whole vectors of columns may be skipped */
                    T(same)(got, 0, "panels, padding", i, column);
            }
    T(release)(0);
}

static void T(test_pack)(const crnn_isa *isa)
{
    checks++;
    if (isa->TYPE->panel_width < 1)
        fail("panel_width is %td", isa->TYPE->panel_width);
    for (ptrdiff_t k = 0; k < LENGTH(SIZES); k++)
        for (ptrdiff_t n = 0; n < LENGTH(SIZES); n++)
            T(pack_case)(isa, SIZES[k], SIZES[n], 0);
}

static void T(test_pack_transposed)(const crnn_isa *isa)
{
    for (ptrdiff_t k = 0; k < LENGTH(SIZES); k++)
        for (ptrdiff_t n = 0; n < LENGTH(SIZES); n++)
            T(pack_case)(isa, SIZES[k], SIZES[n], 1);
}

/* ---- product ---- */

/* init[r, j] + sum_terms sum_i a[r, i] w[i, j], and the same of the absolute values; one row of init
   is for all rows */
static wide T(sums)[ROWS * LONGEST];
static double T(absolutes)[ROWS * LONGEST];

static void T(product_reference)(MATRIX init, const MATRIX *a, const MATRIX *w, int n_terms,
                                 ptrdiff_t rows, ptrdiff_t n)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t j = 0; j < n; j++) {
            const REAL start = T(item)(init, init.rows > 1 ? r : 0, j);
            wide sum = start;
            double absolute = fabs((double)start);
            for (int t = 0; t < n_terms; t++)
                for (ptrdiff_t i = 0; i < w[t].rows; i++) {
                    const wide term = T(times)(T(item)(a[t], r, i), T(item)(w[t], i, j));
                    sum += term;
                    absolute += fabs((double)term);
                }
            T(sums)[r * n + j] = sum;
            T(absolutes)[r * n + j] = absolute;
        }
}

/* The panels are those of a matrix with `more` rows after the rows of the term. */
static void T(product_case)(const crnn_isa *isa, int n_terms, const ptrdiff_t *k, ptrdiff_t n,
                            int init_rows, ptrdiff_t more)
{
    const ptrdiff_t width = isa->TYPE->panel_width;
    const MATRIX init = T(drawn)(init_rows, n), h = T(drawn)(ROWS, n);
    const ptrdiff_t ldi = init_rows > 1 ? init.ld : 0;
    MATRIX a[2], w[2], panels[2];
    crnn_term packed[2], plain[2];
    const ptrdiff_t k1 = n_terms == 2 ? k[1] : 0;
    ptrdiff_t terms = 1;

    CASE("k=%td+%td n=%td", k[0], k1, n);
    for (int t = 0; t < n_terms; t++) {
        const ptrdiff_t size = (n + width - 1) / width * width * (k[t] + more);
        a[t] = T(drawn_bare)(ROWS, k[t]);
        w[t] = T(drawn)(k[t] + more, n);
        panels[t] = T(allocate)(1, size, size);
        isa->TYPE->pack(panels[t].at, w[t].at, w[t].ld, k[t] + more, n);
        packed[t] = (crnn_term){a[t].at, a[t].ld, panels[t].at, k[t] + more, k[t]};
        w[t].rows = k[t];
        terms += k[t];
    }
    T(product_reference)(init, a, w, n_terms, ROWS, n);

    const int kept = T(live_count);
    for (int finish = CRNN_LINEAR; finish <= CRNN_RELU_SLOPE; finish++) {
        const REAL *h_at = finish >= CRNN_TANH_SLOPE ? h.at : NULL;
        const MATRIX whole = T(padded_matrix)(ROWS, n);

        CASE("rows=%d k=%td+%td n=%td %s", ROWS, k[0], k1, n, FINISH[finish]);
        isa->TYPE->product(whole.at, whole.ld, init.at, ldi, packed, n_terms, finish, h_at, h.ld,
                           ROWS, n);
        for (ptrdiff_t r = 0; r < ROWS; r++)
            for (ptrdiff_t j = 0; j < n; j++) {
                double allowed = T(chain)(terms, T(absolutes)[r * n + j]);
                const wide expected =
                    T(finished)(T(sums)[r * n + j], finish, T(item)(h, r, j), &allowed);
                T(near)(T(item)(whole, r, j), expected, allowed, "out", r, j);
            }
        T(settle)(whole, "out");

        /* A row's bits do not depend on other rows, alignment or strides. */
        for (ptrdiff_t c = 0; c < LENGTH(ROW_COUNTS); c++) {
            const ptrdiff_t rows = ROW_COUNTS[c], last = ROWS - rows;
            const MATRIX out = T(padded_matrix)(rows, n);
            for (int t = 0; t < n_terms; t++) {
                plain[t] = packed[t];
                plain[t].a = a[t].at + last * a[t].ld;
            }
            CASE("the last %td of %d rows, k=%td+%td n=%td %s", rows, ROWS, k[0], k1, n,
                 FINISH[finish]);
            isa->TYPE->product(out.at, out.ld, init.at + last * ldi, ldi, plain, n_terms, finish,
                               h_at ? h_at + last * h.ld : NULL, h.ld, rows, n);
            for (ptrdiff_t r = 0; r < rows; r++)
                for (ptrdiff_t j = 0; j < out.width; j++)
                    T(same)(T(item)(out, r, j), T(item)(whole, last + r, j), "out", r, j);
        }
        for (ptrdiff_t r = 0; r < ROWS; r += ROWS - 1) {
            const MATRIX out = T(padded_matrix)(1, n);
            for (int t = 0; t < n_terms; t++)
                plain[t] = (crnn_term){a[t].at + r * a[t].ld, a[t].ld, w[t].at, w[t].ld, k[t]};
            CASE("row_product of row %td against product, k=%td+%td n=%td %s", r, k[0], k1, n,
                 FINISH[finish]);
            isa->TYPE->row_product(out.at, init.at + r * ldi, plain, n_terms, finish,
                                   h_at ? h_at + r * h.ld : NULL, n, 0);
            for (ptrdiff_t j = 0; j < out.width; j++)
                T(same)(out.at[j], T(item)(whole, r, j), "out", 0, j);
        }
        T(release)(kept);
    }
    CASE("k=%td+%td n=%td, inputs", k[0], k1, n);
    T(release)(0);
}

static void T(test_product)(const crnn_isa *isa)
{
    static const ptrdiff_t long_sizes[][3] = {
        {LONGEST, 0, 33}, {3, LONGEST, 33}, {37, 5, LONGEST}, {257, 300, 259}};
    for (ptrdiff_t i = 0; i < LENGTH(SIZES); i++)
        for (ptrdiff_t n = 0; n < LENGTH(SIZES); n++) {
            const ptrdiff_t k[2] = {SIZES[i], SIZES[(i + n) % LENGTH(SIZES)]};
            T(product_case)(isa, 1, k, SIZES[n], 1, 0);
            T(product_case)(isa, 2, k, SIZES[n], ROWS, 2);
        }
    for (ptrdiff_t i = 0; i < LENGTH(long_sizes); i++)
        T(product_case)(isa, 2, long_sizes[i], long_sizes[i][2], 1, 1);
}

/* ---- row_product ---- */

static void T(row_product_case)(const crnn_isa *isa, int n_terms, const ptrdiff_t *k, ptrdiff_t n)
{
    const MATRIX init = T(drawn)(1, n), h = T(drawn)(1, n);
    MATRIX a[2], w[2];
    crnn_term term[2];
    const ptrdiff_t k1 = n_terms == 2 ? k[1] : 0;
    ptrdiff_t terms = 1;

    for (int t = 0; t < n_terms; t++) {
        a[t] = T(drawn_bare)(1, k[t]);
        w[t] = T(drawn)(k[t], n);
        term[t] = (crnn_term){a[t].at, a[t].ld, w[t].at, w[t].ld, k[t]};
        terms += k[t];
    }
    T(product_reference)(init, a, w, n_terms, 1, n);
    for (int finish = CRNN_LINEAR; finish <= CRNN_RELU_SLOPE; finish++)
        for (int back = 0; back <= 1; back++) {
            const MATRIX out = T(padded_matrix)(1, n);
            CASE("k=%td+%td n=%td %s%s", k[0], k1, n, FINISH[finish], back ? " back" : "");
            isa->TYPE->row_product(out.at, init.at, term, n_terms, finish,
                                   finish >= CRNN_TANH_SLOPE ? h.at : NULL, n, back);
            for (ptrdiff_t j = 0; j < n; j++) {
                double allowed = T(chain)(terms, T(absolutes)[j]);
                const wide expected = T(finished)(T(sums)[j], finish, h.at[j], &allowed);
                T(near)(out.at[j], expected, allowed, "out", 0, j);
            }
            T(settle)(out, "out");
        }
    T(release)(0);
}

static void T(test_row_product)(const crnn_isa *isa)
{
    static const ptrdiff_t long_sizes[][3] = {{LONGEST, 0, 33}, {3, LONGEST, 33}, {37, 5, LONGEST},
                                              {1, 255, 255},    {257, 300, 256},  {100, 37, 257},
                                              {1, 127, 127},    {2, 128, 129},    {3, 64, 64},
                                              {7, 63, 65},      {5, 511, 513}};
    for (ptrdiff_t i = 0; i < LENGTH(SIZES); i++)
        for (ptrdiff_t n = 0; n < LENGTH(SIZES); n++) {
            const ptrdiff_t k[2] = {SIZES[i], SIZES[(i + n) % LENGTH(SIZES)]};
            T(row_product_case)(isa, 1, k, SIZES[n]);
            T(row_product_case)(isa, 2, k, SIZES[n]);
        }
    for (ptrdiff_t i = 0; i < LENGTH(long_sizes); i++) {
        T(row_product_case)(isa, 1, long_sizes[i], long_sizes[i][2]);
        T(row_product_case)(isa, 2, long_sizes[i], long_sizes[i][2]);
    }
}

/* ---- row_product_transposed ---- */

static void T(row_product_transposed_case)(const crnn_isa *isa, ptrdiff_t m, ptrdiff_t n)
{
    const MATRIX a = T(drawn)(1, n); /* padded like the rows of w */
    const MATRIX w = T(drawn)(m, n), h = T(drawn)(1, m);

    for (int finish = CRNN_LINEAR; finish <= CRNN_RELU_SLOPE; finish++) {
        const MATRIX forth = T(padded_matrix)(1, m), back = T(padded_matrix)(1, m);
        const REAL *h_at = finish >= CRNN_TANH_SLOPE ? h.at : NULL;
        CASE("m=%td n=%td %s", m, n, FINISH[finish]);
        isa->TYPE->row_product_transposed(forth.at, a.at, w.at, w.ld, finish, h_at, m, n, 0);
        isa->TYPE->row_product_transposed(back.at, a.at, w.at, w.ld, finish, h_at, m, n, 1);
        for (ptrdiff_t i = 0; i < m; i++) {
            wide sum = 0;
            double absolute = 0;
            for (ptrdiff_t j = 0; j < n; j++) {
                const wide term = T(times)(a.at[j], T(item)(w, i, j));
                sum += term;
                absolute += fabs((double)term);
            }
            double allowed = T(chain)(n, absolute);
            const wide expected = T(finished)(sum, finish, h.at[i], &allowed);
            T(near)(forth.at[i], expected, allowed, "out", 0, i);
            T(same)(back.at[i], forth.at[i], "back: out", 0, i); /* each row has its own sum */
        }
        T(settle)(forth, "out");
        T(settle)(back, "out");
    }
    T(release)(0);
}

static void T(test_row_product_transposed)(const crnn_isa *isa)
{
    for (ptrdiff_t m = 0; m < LENGTH(SIZES); m++)
        for (ptrdiff_t n = 0; n < LENGTH(SIZES); n++)
            T(row_product_transposed_case)(isa, SIZES[m], SIZES[n]);
    T(row_product_transposed_case)(isa, LONGEST, 33);
    T(row_product_transposed_case)(isa, 33, LONGEST);
    T(row_product_transposed_case)(isa, 257, 255);
}

/* ---- clipping ---- */

/* clip(gradient), where the gradient has an error of at most `off` */
static wide T(clipped)(wide gradient, double off, REAL clip, clip_count *count)
{
    const wide beyond = (gradient < 0 ? -gradient : gradient) - clip;
    if (beyond > off)
        count->certain++;
    if (beyond > -off)
        count->perhaps++;
    return gradient > clip ? clip : gradient < -clip ? -(wide)clip : gradient;
}

static void T(check_report)(crnn_report report, crnn_report before, clip_count count)
{
    checks++;
    const double clipped = report.clipped - before.clipped;
    if (!(clipped >= count.certain && clipped <= count.perhaps))
        fail("clipped rose by %g, expected %ld to %ld", clipped, count.certain, count.perhaps);
    if (!(report.poison == 0))
        fail("poison is %g where all is finite", report.poison);
}

/* ---- accumulate ---- */

static void T(accumulate_case)(const crnn_isa *isa, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
                               int integers)
{
    REAL (*draw)(void) = integers ? T(draw_integer) : T(draw);
    const REAL rate = integers ? (REAL)0.5 : (REAL)0.01;
    const MATRIX a = T(fill)(T(allocate)(k, m, m), draw);
    const MATRIX b = T(fill)(T(padded_matrix)(k, n), draw);
    const MATRIX before = T(fill)(T(padded_matrix)(m, n), draw);
    MATRIX c[3];
    crnn_report report[3];
    clip_count count = {0, 0};
    const crnn_report none = {0, 0};
    /* half of the cases clip about a quarter of the gradient; integers reach the limit exactly */
    const REAL clip =
        random_below(2) ? UNLIMITED : (REAL)(integers ? 4 : 0.4 * sqrt((double)k + 1));

    CASE("m=%td n=%td k=%td%s clip=%g", m, n, k, integers ? " integers" : "", (double)clip);
    for (int finish = CRNN_STORE; finish <= CRNN_DESCEND; finish++) {
        c[finish] = finish == CRNN_STORE ? T(padded_matrix)(m, n) : T(copy)(before);
        report[finish] = none;
        isa->TYPE->accumulate(c[finish].at, c[finish].ld, a.at, a.ld, b.at, b.ld, m, n, k, finish,
                              rate, clip, &report[finish]);
    }
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            const wide old = T(item)(before, i, j);
            wide sum = 0;
            double absolute = 0;
            for (ptrdiff_t r = 0; r < k; r++) {
                const wide term = T(times)(T(item)(a, r, i), T(item)(b, r, j));
                sum += term;
                absolute += fabs((double)term);
            }
            const double exact = !integers;
            const double off = exact * T(chain)(k, absolute);
            const wide step = rate * T(clipped)(sum, off, clip, &count);
            const double size = fabs((double)old);
            T(near)(T(item)(c[0], i, j), sum, off, "store: c", i, j);
            T(near)(T(item)(c[1], i, j), old + sum, exact * T(chain)(k, absolute + size), "add: c",
                    i, j);
            T(near)(T(item)(c[2], i, j), old - step,
                    off * rate + exact * 4 * ROUNDING * (size + fabs((double)step)), "descend: c",
                    i, j);
        }
    T(check_report)(report[CRNN_DESCEND], none, count);
    for (int finish = CRNN_STORE; finish <= CRNN_DESCEND; finish++)
        T(settle)(c[finish], UPDATE[finish]);
    T(release)(0);
}

/* One bad number in a (row i of c) or b (column j): NaN in the report, other rows unchanged. */
static void T(accumulate_poison)(const crnn_isa *isa, REAL bad, REAL clip)
{
    enum { M = 13, N = 37, K = 5 };
    const MATRIX a = T(drawn_bare)(K, M), b = T(drawn)(K, N), before = T(drawn)(M, N);
    const MATRIX good = T(copy)(before);
    crnn_report report = {0, 0};
    for (ptrdiff_t r = 0; r < K; r++) { /* so that the largest number overflows in the product */
        for (ptrdiff_t i = 0; i < M; i++)
            a.at[r * a.ld + i] *= 4;
        for (ptrdiff_t j = 0; j < N; j++)
            b.at[r * b.ld + j] *= 4;
    }
    isa->TYPE->accumulate(good.at, good.ld, a.at, a.ld, b.at, b.ld, M, N, K, CRNN_DESCEND,
                          (REAL)0.1, clip, &report);
    const int kept = T(live_count);
    for (ptrdiff_t at = 0; at < M + N; at++) {
        REAL *spoilt = at < M ? &a.at[at % K * a.ld + at] : &b.at[at % K * b.ld + at - M];
        const REAL saved = *spoilt;
        const MATRIX c = T(copy)(before);

        CASE("m=%d n=%d k=%d %s[%td, %td] = %g clip=%g", M, N, K, at < M ? "a" : "b", at % K,
             at < M ? at : at - M, (double)bad, (double)clip);
        report = (crnn_report){0, 0};
        *spoilt = bad;
        isa->TYPE->accumulate(c.at, c.ld, a.at, a.ld, b.at, b.ld, M, N, K, CRNN_DESCEND, (REAL)0.1,
                              clip, &report);
        *spoilt = saved;
        checks++;
        if (!isnan(report.poison))
            fail("poison is %g, not NaN", report.poison);
        for (ptrdiff_t i = 0; i < M; i++)
            for (ptrdiff_t j = 0; j < N; j++)
                if (at < M ? i != at : j != at - M)
                    T(same)(T(item)(c, i, j), T(item)(good, i, j), "c", i, j);
        T(release)(kept);
    }
    T(release)(0);
}

/* Several calls share a report: counts are added, and NaN stays. */
static void T(accumulate_report)(const crnn_isa *isa)
{
    const MATRIX a = T(drawn_bare)(1, 1), b = T(drawn)(1, 1), c = T(drawn)(1, 1);
    crnn_report report = {7, NAN};
    CASE("m=1 n=1 k=1, a report of 7 clipped and poison");
    a.at[0] = b.at[0] = 2;
    isa->TYPE->accumulate(c.at, c.ld, a.at, a.ld, b.at, b.ld, 1, 1, 1, CRNN_DESCEND, (REAL)0.1, 1,
                          &report);
    checks++;
    if (report.clipped != 8 || !isnan(report.poison))
        fail("the report says %g and %g, expected 8 and NaN", report.clipped, report.poison);
    T(release)(0);
}

static void T(test_accumulate)(const crnn_isa *isa)
{
    static const ptrdiff_t depths[] = {0, 1, 2, 3, 5, 37, 101};
    static const REAL bad[] = {NAN, INFINITY, -INFINITY, REAL_MAX};
    for (ptrdiff_t m = 0; m < LENGTH(SIZES); m++)
        for (ptrdiff_t n = 0; n < LENGTH(SIZES); n++)
            for (ptrdiff_t k = 0; k < LENGTH(depths); k++)
                T(accumulate_case)(isa, SIZES[m], SIZES[n], depths[k], k == 4);
    for (ptrdiff_t rows = 1; rows <= 13; rows++)
        T(accumulate_case)(isa, rows, 33, 37, 0);
    T(accumulate_case)(isa, 5, 33, 3 * LONGEST, 0);
    T(accumulate_case)(isa, 13, LONGEST, 7, 0);
    T(accumulate_case)(isa, 13, LONGEST, 131, 0); /* more rows than are summed at once */
    T(accumulate_case)(isa, LONGEST, 13, 7, 0);
    T(accumulate_case)(isa, 100, 101, 1025, 1);
    for (ptrdiff_t i = 0; i < LENGTH(bad); i++) {
        T(accumulate_poison)(isa, bad[i], 1);
        T(accumulate_poison)(isa, bad[i], UNLIMITED);
    }
    T(accumulate_report)(isa);
}

/* ---- sum, update: `shards` rows of g ---- */

/* g is rows x n for each shard. `more` lines of padding after each row change no bit. */
static void T(sum_case)(const crnn_isa *isa, ptrdiff_t shards, ptrdiff_t rows, ptrdiff_t n)
{
    double squares[3];
    const uint64_t start = random_state;
    CASE("shards=%td rows=%td n=%td", shards, rows, n);
    for (int more = 0; more < 3; more++) {
        const ptrdiff_t ld = T(padded)(n) + more * vector;
        random_state = start;
        const MATRIX g = T(padded_matrix)(shards, rows * ld);
        for (ptrdiff_t s = 0; s < shards; s++)
            for (ptrdiff_t r = 0; r < rows; r++)
                for (ptrdiff_t j = 0; j < ld; j++)
                    g.at[s * g.ld + r * ld + j] = j < n ? T(draw)() : 0;
        const MATRIX before = T(copy)(g);
        squares[more] = isa->TYPE->sum(g.at, g.ld, shards, rows, n, ld);
        wide expected = 0;
        for (ptrdiff_t i = 0; i < rows * ld; i++) {
            volatile REAL total = T(item)(before, 0, i); /* rounded at every step, in this order */
            double absolute = fabs((double)total);
            for (ptrdiff_t s = 1; s < shards; s++) {
                total = total + T(item)(before, s, i);
                absolute += fabs((double)T(item)(before, s, i));
                T(same)(T(item)(g, s, i), T(item)(before, s, i), "g", s, i);
            }
#if FLT_EVAL_METHOD == 0
            T(same)(g.at[i], total, "g", 0, i);
            (void)absolute;
#else
            T(near)(g.at[i], total, T(chain)(shards, absolute), "g", 0, i);
#endif
            expected += T(times)(g.at[i], g.at[i]);
        }
        checks += 2;
        if (!(fabs((double)(squares[more] - expected)) <=
              (double)(rows * n + 4) * DBL_EPSILON * squares[more]))
            fail("squares are %.17g, expected %.17g", squares[more], (double)expected);
        if (squares[more] != squares[0])
            fail("squares are %a, and %a with other padding", squares[more], squares[0]);
        T(release)(0);
    }
    uint64_t bits;
    memcpy(&bits, squares, sizeof bits);
    record(bits, "squares", 0, 0);
}

/* One bad number in one shard, or finite ones whose sum is not. */
static void T(sum_poison)(const crnn_isa *isa, REAL bad)
{
    enum { SHARDS = 3, COUNT = 37 };
    for (ptrdiff_t at = 0; at < SHARDS * COUNT; at++) {
        const MATRIX g = T(drawn)(SHARDS, COUNT);
        CASE("shards=%d count=%d g[%td, %td] = %g", SHARDS, COUNT, at / COUNT, at % COUNT,
             (double)bad);
        for (ptrdiff_t s = 0; s < SHARDS; s++)
            if (s == at / COUNT || bad == REAL_MAX)
                g.at[s * g.ld + at % COUNT] = bad;
        checks++;
        if (isfinite(isa->TYPE->sum(g.at, g.ld, SHARDS, 1, COUNT, T(padded)(COUNT))))
            fail("the squares are finite");
        T(release)(0);
    }
}

static const REAL T(not_finite)[] = {NAN, INFINITY, -INFINITY, REAL_MAX};

static void T(test_sum)(const crnn_isa *isa)
{
    for (ptrdiff_t s = 0; s < LENGTH(SHARD_COUNTS); s++) {
        for (ptrdiff_t n = 0; n < LENGTH(SIZES); n++)
            for (ptrdiff_t rows = 0; rows < 4; rows++)
                T(sum_case)(isa, SHARD_COUNTS[s], rows, SIZES[n]);
        T(sum_case)(isa, SHARD_COUNTS[s], 3, LONGEST);
    }
    for (ptrdiff_t i = 0; i < LENGTH(T(not_finite)); i++)
        T(sum_poison)(isa, T(not_finite)[i]);
}

/* The shards' sum, and the largest difference to another order of sums. */
static wide T(gradient)(MATRIX g, ptrdiff_t i, double *off)
{
    wide sum = 0;
    double absolute = 0;
    for (ptrdiff_t s = 0; s < g.rows; s++) {
        sum += T(item)(g, s, i);
        absolute += fabs((double)T(item)(g, s, i));
    }
    *off = g.rows == 1 ? 0 : T(chain)(g.rows, absolute);
    return sum;
}

/* A number and its largest difference to another computation. A multiply-add may round twice. */
typedef struct {
    wide value;
    double off;
} T(bounded);
#define BOUNDED T(bounded)

static BOUNDED T(exact)(REAL value)
{
    const BOUNDED number = {value, 0};
    return number;
}

/* With one more rounding error. */
static BOUNDED T(rounded)(wide value, double off)
{
    const double tiny = (double)(REAL)ldexp(1, REAL_MIN_EXP - REAL_MANT_DIG);
    const BOUNDED number = {value, off + ROUNDING * (fabs((double)value) + off) + tiny};
    return number;
}

static BOUNDED T(add)(BOUNDED a, BOUNDED b)
{
    return T(rounded)(a.value + b.value, a.off + b.off);
}

static BOUNDED T(multiply)(REAL a, BOUNDED b)
{
    const wide factor = a;
    return T(rounded)(factor * b.value, fabs((double)a) * b.off);
}

static BOUNDED T(square)(BOUNDED a)
{
    return T(rounded)(a.value * a.value, (2 * fabs((double)a.value) + a.off) * a.off);
}

static BOUNDED T(divide)(BOUNDED a, BOUNDED b)
{
    const wide value = a.value / b.value;
    return T(rounded)(value, (a.off + fabs((double)value) * b.off) / ((double)b.value - b.off));
}

static BOUNDED T(root)(BOUNDED a)
{
    const double value = sqrt((double)a.value), wildest = sqrt(a.off);
    return T(rounded)(sqrtl(a.value), wildest * value < a.off ? wildest : a.off / value);
}

/* The rules, with an eps so large that its place matters; adam in the third step. */
static const struct {
    const char *name;
    crnn_rule rule;
} T(rules)[] = {
#define RULE(name, kind, nesterov, scale, decay, momentum)                                         \
    {                                                                                              \
        name, {kind, nesterov, scale, 0, 0.036900369, decay, momentum, 0.9, 0.999, 1e-3,           \
               0.054744863}                                                                        \
    }
    RULE("sgd", CRNN_SGD, 0, 1, 0, 0),
    RULE("sgd scaled", CRNN_SGD, 0, 0.3, 0, 0),
    RULE("sgd decay", CRNN_SGD, 0, 1, 0.1, 0),
    RULE("sgd momentum", CRNN_SGD, 0, 1, 0, 0.7),
    RULE("sgd momentum decay", CRNN_SGD, 0, 0.3, 0.1, 0.7),
    RULE("sgd nesterov", CRNN_SGD, 1, 1, 0, 0.7),
    RULE("sgd nesterov decay", CRNN_SGD, 1, 1, 0.1, 0.7),
    RULE("rmsprop", CRNN_RMSPROP, 0, 1, 0, 0),
    RULE("rmsprop decay", CRNN_RMSPROP, 0, 0.3, 0.1, 0),
    RULE("rmsprop momentum", CRNN_RMSPROP, 0, 1, 0, 0.7),
    RULE("rmsprop momentum decay", CRNN_RMSPROP, 0, 1, 0.1, 0.7),
    RULE("adam", CRNN_ADAM, 0, 1, 0, 0),
    RULE("adam decay", CRNN_ADAM, 0, 0.3, 0.1, 0),
    RULE("adamw", CRNN_ADAMW, 0, 1, 0.1, 0),
#undef RULE
};

/* One step of the rule for one number: w, m and v before it, and g scaled and clipped. */
static void T(obvious_step)(const crnn_rule *rule, BOUNDED *w, BOUNDED *m, BOUNDED *v, BOUNDED g)
{
    const REAL decay = (REAL)rule->decay, momentum = (REAL)rule->momentum;
    const REAL beta1 = (REAL)rule->beta1, beta2 = (REAL)rule->beta2;
    const BOUNDED eps = T(exact)((REAL)rule->eps);
    BOUNDED step;
    if (rule->kind == CRNN_ADAMW)
        *w = T(add)(*w, T(multiply)(-decay, *w));
    else if (decay != 0)
        g = T(add)(g, T(multiply)(decay, *w));
    if (rule->kind != CRNN_SGD)
        *v = T(add)(T(multiply)(beta2, *v), T(multiply)((REAL)(1 - rule->beta2), T(square)(g)));
    if (rule->kind == CRNN_SGD) {
        step = g;
        if (momentum != 0) {
            step = *m = T(add)(T(multiply)(momentum, *m), g);
            if (rule->nesterov)
                step = T(add)(g, T(multiply)(momentum, *m));
        }
    } else if (rule->kind == CRNN_RMSPROP) {
        step = T(divide)(g, T(add)(T(root)(*v), eps));
        if (momentum != 0)
            step = *m = T(add)(T(multiply)(momentum, *m), step);
    } else {
        *m = T(add)(T(multiply)(beta1, *m), T(multiply)((REAL)(1 - rule->beta1), g));
        const BOUNDED root = T(divide)(T(root)(*v), T(exact)((REAL)rule->correction));
        step = T(divide)(*m, T(add)(root, eps));
    }
    *w = T(add)(*w, T(multiply)(-(REAL)rule->rate, step));
}

static void T(update_call)(const crnn_isa *isa, MATRIX w, MATRIX m, MATRIX v, MATRIX g,
                           const crnn_rule *rule, crnn_report *report)
{
    const int first = rule->kind >= CRNN_ADAM || rule->momentum != 0, second = rule->kind != CRNN_SGD;
    isa->TYPE->update(w.at, first ? m.at : NULL, second ? v.at : NULL, g.at, g.ld, g.rows, g.n, rule,
                      report);
}

static void T(update_case)(const crnn_isa *isa, const char *name, const crnn_rule *rule,
                           ptrdiff_t shards, ptrdiff_t count)
{
    const MATRIX g = T(drawn)(shards, count), w = T(drawn)(1, count), m = T(drawn)(1, count);
    const MATRIX v = T(drawn)(1, count);
    const REAL clip = (REAL)rule->clip;
    const int at_clip = count > 2 && clip < UNLIMITED && rule->scale == 1;
    for (ptrdiff_t i = 0; i < count; i++)
        v.at[i] = i % 7 == 3 ? 0 : (REAL)fabs((double)v.at[i]);
    for (ptrdiff_t i = 3; i < count; i += 14) { /* zero gradients and moments: nothing changes */
        m.at[i] = v.at[i] = 0;
        for (ptrdiff_t s = 0; s < shards; s++)
            g.at[s * g.ld + i] = 0;
    }
    for (ptrdiff_t s = 0; s < shards && at_clip; s++) { /* exactly the clip value is not clipped */
        g.at[s * g.ld + 1] = s ? 0 : clip;
        g.at[s * g.ld + 2] = s ? 0 : -clip;
    }
    const MATRIX old_w = T(copy)(w), old_m = T(copy)(m), old_v = T(copy)(v);
    clip_count counted = {0, 0};
    const crnn_report start = {3, 0};
    crnn_report report = start;

    CASE("%s shards=%td count=%td clip=%g", name, shards, count, (double)clip);
    T(update_call)(isa, w, m, v, g, rule, &report);
    for (ptrdiff_t i = 0; i < count; i++) {
        BOUNDED sum, new_w = T(exact)(old_w.at[i]);
        BOUNDED new_m = T(exact)(old_m.at[i]), new_v = T(exact)(old_v.at[i]);
        sum.value = T(gradient)(g, i, &sum.off);
        if (at_clip && (i == 1 || i == 2))
            sum.off = 0;
        if (rule->scale != 1)
            sum = T(multiply)((REAL)rule->scale, sum);
        sum.value = T(clipped)(sum.value, sum.off, clip, &counted);
        T(obvious_step)(rule, &new_w, &new_m, &new_v, sum);
        T(near)(w.at[i], new_w.value, new_w.off, "w", 0, i);
        T(near)(m.at[i], new_m.value, new_m.off, "m", 0, i);
        T(near)(v.at[i], new_v.value, new_v.off, "v", 0, i);
        if (i % 14 == 3 && rule->decay == 0)
            T(same)(w.at[i], old_w.at[i], "without a gradient w", 0, i);
    }
    T(check_report)(report, start, counted);
    T(settle)(w, "w");
    T(settle)(m, "m");
    T(settle)(v, "v");
    T(release)(0);
}

/* One bad number in one shard, or finite ones whose sum is not. */
static void T(update_poison)(const crnn_isa *isa, const char *name, const crnn_rule *rule, REAL bad)
{
    enum { SHARDS = 3, COUNT = 37 };
    for (ptrdiff_t at = 0; at < SHARDS * COUNT; at++) {
        const ptrdiff_t shard = at / COUNT, place = at % COUNT;
        const MATRIX g = T(drawn)(SHARDS, COUNT), w = T(drawn)(1, COUNT);
        const MATRIX m = T(drawn)(1, COUNT), v = T(drawn)(1, COUNT);
        crnn_report report = {0, 0};
        CASE("%s shards=%d count=%d g[%td, %td] = %g clip=%g", name, SHARDS, COUNT, shard, place,
             (double)bad, rule->clip);
        for (ptrdiff_t i = 0; i < COUNT; i++)
            v.at[i] = 1;
        for (ptrdiff_t s = 0; s < SHARDS; s++)
            if (s == shard || bad == REAL_MAX)
                g.at[s * g.ld + place] = bad;
        T(update_call)(isa, w, m, v, g, rule, &report);
        checks++;
        if (!isnan(report.poison))
            fail("poison is %g, not NaN", report.poison);
        for (ptrdiff_t i = 0; i < COUNT; i++)
            if (i != place && !isfinite(w.at[i]))
                fail("w[%td] = %g, but only another element is bad", i, (double)w.at[i]);
        T(release)(0);
    }
}

static void T(test_update)(const crnn_isa *isa)
{
    const REAL clips[] = {(REAL)0.5, UNLIMITED};
    for (ptrdiff_t r = 0; r < LENGTH(T(rules)); r++)
        for (ptrdiff_t c = 0; c < LENGTH(clips); c++) {
            const char *name = T(rules)[r].name;
            crnn_rule rule = T(rules)[r].rule;
            rule.clip = clips[c];
            for (ptrdiff_t s = 0; s < LENGTH(SHARD_COUNTS); s++) {
                for (ptrdiff_t n = 0; n < LENGTH(SIZES); n++)
                    T(update_case)(isa, name, &rule, SHARD_COUNTS[s], SIZES[n]);
                T(update_case)(isa, name, &rule, SHARD_COUNTS[s], LONGEST);
            }
            for (ptrdiff_t i = 0; i < LENGTH(T(not_finite)); i++)
                T(update_poison)(isa, name, &rule, T(not_finite)[i]);
        }
}

/* ---- tanh ---- */

static wide T(exact_tanh)(REAL x)
{
    return REAL_MANT_DIG == 24 ? (wide)tanh((double)x) : (wide)tanh_oracle(x);
}

/* tanh of `count` numbers and of their negatives, against the oracle */
static void T(tanh_case)(const crnn_isa *isa, MATRIX x)
{
    const double bound = tanh_bound(isa, REAL_MANT_DIG);
    const MATRIX minus_x = T(copy)(x);
    const MATRIX out = T(padded_matrix)(1, x.n), minus_out = T(padded_matrix)(1, x.n);
    for (ptrdiff_t i = 0; i < x.n; i++)
        minus_x.at[i] = -x.at[i];
    isa->TYPE->tanh(out.at, x.at, x.n);
    isa->TYPE->tanh(minus_out.at, minus_x.at, x.n);
    for (ptrdiff_t i = 0; i < x.n; i++) {
        checks++;
        if (isnan(x.at[i])) {
            if (!isnan(out.at[i]) || !isnan(minus_out.at[i]))
                fail("tanh(NaN) = %g", (double)out.at[i]);
            continue;
        }
        const wide exact = T(exact_tanh)(x.at[i]);
        if (!(T(ulps)(out.at[i], exact) <= bound) || !(fabs((double)out.at[i]) <= 1))
            fail("tanh(%a) = %a, expected %a, %.3f ulp off", (double)x.at[i], (double)out.at[i],
                 (double)exact, T(ulps)(out.at[i], exact));
        if (T(bits)(minus_out.at[i]) != T(bits)(-out.at[i]))
            fail("tanh(%a) = %a, but tanh(%a) = %a", (double)x.at[i], (double)out.at[i],
                 (double)minus_x.at[i], (double)minus_out.at[i]);
    }
    T(settle)(out, "out");
}

static void T(test_tanh)(const crnn_isa *isa)
{
    const REAL smallest = (REAL)ldexp(1, REAL_MIN_EXP - REAL_MANT_DIG);
    const REAL normal = (REAL)ldexp(1, REAL_MIN_EXP - 1);
    const REAL ends[][2] = {{0, 0},    {INFINITY, 1}, {REAL_MAX, 1},
                            {1000, 1}, {100, 1},      {REAL_MANT_DIG == 24 ? 10 : 20, 1},
                            {NAN, NAN}};
    const REAL others[] = {smallest,   2 * smallest, 3 * smallest, normal - smallest,
                           normal,     2 * normal,   (REAL)1e-20,  (REAL)1e-5,
                           (REAL)0.2,  (REAL)0.549,  (REAL)0.55,   (REAL)0.625,
                           1,          (REAL)8.5,    (REAL)9.01,   (REAL)9.1,
                           (REAL)18.7, (REAL)19.06,  (REAL)19.07,  22};

    /* lengths, and every one of the special values at every place */
    for (ptrdiff_t n = 0; n < LENGTH(SIZES); n++) {
        const MATRIX x = T(drawn)(1, SIZES[n]);
        CASE("count=%td", SIZES[n]);
        for (ptrdiff_t i = 0; i < x.n; i++)
            x.at[i] *= 4;
        T(tanh_case)(isa, x);
        T(release)(0);
    }
    for (ptrdiff_t at = 0; at < 37; at++) {
        for (ptrdiff_t s = 0; s < LENGTH(ends); s++) {
            const MATRIX x = T(drawn)(1, 37), out = T(padded_matrix)(1, 37);
            CASE("%g among 37", (double)ends[s][0]);
            x.at[at] = ends[s][0];
            T(tanh_case)(isa, x);
            isa->TYPE->tanh(out.at, x.at, x.n);
            T(same)(out.at[at], ends[s][1], "out", 0, at);
            T(release)(0);
        }
        for (ptrdiff_t s = 0; s < LENGTH(others); s++) {
            const MATRIX x = T(drawn)(1, 37);
            CASE("%g among 37", (double)others[s]);
            x.at[at] = others[s];
            T(tanh_case)(isa, x);
            T(release)(0);
        }
    }

    /* a dense sample: up to where tanh is 1, and of all exponents */
    const REAL end = REAL_MANT_DIG == 24 ? 10 : 20;
    for (ptrdiff_t block = 0; block < 200; block++) {
        const MATRIX even = T(drawn)(1, 512), any = T(drawn)(1, 512);
        for (ptrdiff_t i = 0; i < 512; i++) {
            const REAL_BITS pattern = (REAL_BITS)random_bits();
            even.at[i] = end * ((REAL)(block * 512 + i) + any.at[i]) / (200 * 512);
            memcpy(&any.at[i], &pattern, sizeof pattern);
        }
        CASE("a dense sample");
        T(tanh_case)(isa, even);
        CASE("a sample of all patterns");
        T(tanh_case)(isa, any);
        T(release)(0);
    }
}

/* ---- exp, log ---- */

/* T(ulps) for exact values that may be NaN or overflow the type. */
static double T(function_ulps)(REAL got, wide exact)
{
    if (isnan(exact))
        return isnan(got) ? 0 : (double)INFINITY;
    return T(ulps)(got, isinf((REAL)exact) ? (wide)(REAL)exact : exact);
}

/* An argument for exp or log: in the range of the losses, or anywhere. */
static REAL T(drawn_for)(const exponential *function, int everywhere)
{
    const int digits = REAL_MANT_DIG - 1;
    const REAL unit = (REAL)(random_bits() >> (64 - digits)) / (REAL)((REAL_BITS)1 << digits);
    const int exponent = REAL_MIN_EXP + (int)random_below(-2 * REAL_MIN_EXP);
    if (function->is_log)
        return everywhere ? (REAL)ldexp(1 + unit, exponent) : (REAL)0.5 + 2 * unit;
    if (everywhere)
        return (REAL)(REAL_MANT_DIG == 24 ? 105 : 750) * (2 * unit - 1);
    return -8 * unit;
}

static wide T(exact_value)(const exponential *function, REAL x)
{
    return REAL_MANT_DIG == 24 ? (wide)function->of_float(x) : (wide)function->of_double(x);
}

/* exp or log of x, into another array and in place */
static void T(exponential_case)(const crnn_isa *isa, const exponential *function, MATRIX x)
{
    void (*const run)(REAL *, const REAL *, ptrdiff_t) =
        function->is_log ? isa->TYPE->log : isa->TYPE->exp;
    const double bound = exponential_bound(function, isa, REAL_MANT_DIG);
    const MATRIX out = T(allocate)(1, x.n, x.n), in_place = T(copy)(x);
    run(out.at, x.at, x.n);
    run(in_place.at, in_place.at, x.n);
    for (ptrdiff_t i = 0; i < x.n; i++) {
        const wide exact = T(exact_value)(function, x.at[i]);
        const double off = T(function_ulps)(out.at[i], exact);
        checks++;
        if (!(off <= bound))
            fail("%s(%a) = %a, expected %a, %.3f ulp off", function->name, (double)x.at[i],
                 (double)out.at[i], (double)exact, off);
        T(same)(in_place.at[i], out.at[i], "in place", 0, i);
    }
    T(settle)(out, "out");
}

static void T(test_exponential)(const crnn_isa *isa, const exponential *function,
                                const REAL (*ends)[2], ptrdiff_t n_ends)
{
    /* lengths, and every one of the special values at every place */
    for (ptrdiff_t n = 0; n < LENGTH(SIZES); n++)
        for (int everywhere = 0; everywhere <= 1; everywhere++) {
            const MATRIX x = T(drawn_bare)(1, SIZES[n]);
            CASE("count=%td", SIZES[n]);
            for (ptrdiff_t i = 0; i < x.n; i++)
                x.at[i] = T(drawn_for)(function, everywhere);
            T(exponential_case)(isa, function, x);
            T(release)(0);
        }
    for (ptrdiff_t at = 0; at < 37; at++)
        for (ptrdiff_t s = 0; s < n_ends; s++) {
            const MATRIX x = T(drawn_bare)(1, 37), out = T(allocate)(1, 37, 37);
            CASE("%g among 37", (double)ends[s][0]);
            for (ptrdiff_t i = 0; i < x.n; i++)
                x.at[i] = T(drawn_for)(function, 0);
            x.at[at] = ends[s][0];
            T(exponential_case)(isa, function, x);
            (function->is_log ? isa->TYPE->log : isa->TYPE->exp)(out.at, x.at, x.n);
            T(same)(out.at[at], ends[s][1], "out", 0, at);
            T(release)(0);
        }
    for (ptrdiff_t block = 0; block < 200; block++) {
        const MATRIX near = T(drawn_bare)(1, 512), all = T(drawn_bare)(1, 512);
        const MATRIX any = T(drawn_bare)(1, 512);
        for (ptrdiff_t i = 0; i < 512; i++) {
            const REAL_BITS pattern = (REAL_BITS)random_bits();
            near.at[i] = T(drawn_for)(function, 0);
            all.at[i] = T(drawn_for)(function, 1);
            memcpy(&any.at[i], &pattern, sizeof pattern);
        }
        CASE("a dense sample");
        T(exponential_case)(isa, function, near);
        CASE("a sample of the whole range");
        T(exponential_case)(isa, function, all);
        CASE("a sample of all patterns");
        T(exponential_case)(isa, function, any);
        T(release)(0);
    }
}

static void T(test_exp)(const crnn_isa *isa)
{
    const int single = REAL_MANT_DIG == 24;
    const REAL smallest = (REAL)ldexp(1, REAL_MIN_EXP - REAL_MANT_DIG);
    const REAL ends[][2] = {
        {0, 1},
        {-(REAL)0, 1},
        {smallest, 1},
        {-smallest, 1},
        {NAN, NAN},
        {INFINITY, INFINITY},
        {-(REAL)INFINITY, 0},
        {REAL_MAX, INFINITY},
        {-REAL_MAX, 0},
        {(REAL)-1e4, 0},
        /* the first that overflows, the last that underflows to 0, and the next one */
        {single ? (REAL)0x1.62e430p+6 : (REAL)0x1.62e42fefa39f0p+9, INFINITY},
        {single ? (REAL)-0x1.9fe36ap+6 : (REAL)-0x1.74910d52d3053p+9, 0},
        {single ? (REAL)-0x1.9fe368p+6 : (REAL)-0x1.74910d52d3051p+9, smallest},
    };
    T(test_exponential)(isa, &EXP, ends, LENGTH(ends));
}

static void T(test_log)(const crnn_isa *isa)
{
    const REAL normal = (REAL)ldexp(1, REAL_MIN_EXP - 1);
    const REAL smallest = (REAL)ldexp(1, REAL_MIN_EXP - REAL_MANT_DIG);
    const REAL ends[][2] = {
        {1, 0},
        {0, -(REAL)INFINITY},
        {-(REAL)0, -(REAL)INFINITY},
        {smallest, -(REAL)INFINITY},
        {normal - smallest, -(REAL)INFINITY},
        {INFINITY, INFINITY},
        {-(REAL)INFINITY, NAN},
        {NAN, NAN},
        {-smallest, NAN},
        {-1, NAN},
        {-REAL_MAX, NAN},
        {normal, (REAL)T(exact_value)(&LOG, normal)},
        {REAL_MAX, (REAL)T(exact_value)(&LOG, REAL_MAX)},
    };
    T(test_exponential)(isa, &LOG, ends, LENGTH(ends));
}

/* ---- the probes of the benchmark ---- */

static void T(test_probes)(const crnn_isa *isa)
{
    const MATRIX sink = T(drawn)(1, 256), x = T(drawn)(1, LONGEST);

    CASE("probe_fma of 1000 and 2000 rounds");
    const double once = isa->TYPE->probe_fma(sink.at, 1000);
    const double twice = isa->TYPE->probe_fma(sink.at, 2000);
    checks++;
    if (!(once >= 1000) || twice != 2 * once)
        fail("%g and %g multiply-adds", once, twice);
    CASE("probe_read");
    isa->TYPE->probe_read(sink.at, x.at, x.n);
    T(release)(0);
}

/* ---- gather ---- */

/* Writes one element of the kind and returns its value in the type of the output. A float gets
   `value` if this is not 0; halves and integers get random bits. */
static REAL T(put)(char *to, int kind, int size, int swapped, long double value)
{
    unsigned char bytes[sizeof(long double)];
    const uint64_t bits = random_bits();
    volatile REAL result;
    memset(bytes, 0, sizeof bytes);
#define PUT(ELEMENT, VALUE)                                                                        \
    do {                                                                                           \
        const ELEMENT element = (ELEMENT)(VALUE);                                                  \
        memcpy(bytes, &element, sizeof element);                                                   \
        result = (REAL)element;                                                                    \
    } while (0)
    if (kind == 'f' && size == 2) {
        uint16_t half = (uint16_t)bits;
        if (value != 0)
            half = isnan(value) ? 0x7e00 : value > 0 ? 0x7c00 : 0xfc00;
        else if ((half & 0x7c00) == 0x7c00)
            half &= 0xbfff;
        memcpy(bytes, &half, sizeof half);
        result = (REAL)half_value(half);
    } else if (kind == 'f') {
        if (value == 0)
            value = T(draw)() + ldexpl((long double)(int64_t)bits, -90);
        if (size == 4)
            PUT(float, value);
        else if (size == 8)
            PUT(double, value);
        else
            PUT(long double, value);
    } else if (kind == 'i') {
        if (size == 1)
            PUT(int8_t, bits);
        else if (size == 2)
            PUT(int16_t, bits);
        else if (size == 4)
            PUT(int32_t, bits);
        else
            PUT(int64_t, bits);
    } else {
        if (size == 1)
            PUT(uint8_t, bits);
        else if (size == 2)
            PUT(uint16_t, bits);
        else if (size == 4)
            PUT(uint32_t, bits);
        else
            PUT(uint64_t, bits);
    }
#undef PUT
    for (int b = 0; b < size; b++)
        to[b] = (char)bytes[swapped ? size - 1 - b : b];
    return result;
}

static REAL T(gather_values)[BYTES]; /* value of the element that starts at this byte */

static int T(gather)(MATRIX out, const crnn_source *x, const int64_t *order, ptrdiff_t first,
                     ptrdiff_t rows, ptrdiff_t places, ptrdiff_t t0, ptrdiff_t timesteps,
                     ptrdiff_t features)
{
#define GATHER T(crnn_gather)
    return GATHER(out.at, out.ld, x, order, first, rows, places, t0, timesteps, features, 1);
#undef GATHER
}

static void T(gather_put)(const crnn_source *x, ptrdiff_t n, ptrdiff_t t, ptrdiff_t i,
                          long double value)
{
    const ptrdiff_t place = gather_place(x, n, t, i);
    T(gather_values)[place] = T(put)(gather_data + place, x->kind, x->item_size, x->swapped, value);
}

static void T(gather_case)(const crnn_source *x, const int64_t *order, ptrdiff_t first,
                           ptrdiff_t rows, ptrdiff_t t0, ptrdiff_t timesteps, ptrdiff_t features)
{
    const ptrdiff_t places = rows + t0; /* rows of the block */
    const MATRIX out = T(allocate)(timesteps * places, features, features);
    checks++;
    if (!T(gather)(out, x, order, first, rows, places, t0, timesteps, features))
        fail("reported as not finite, but finite");
    for (ptrdiff_t t = 0; t < timesteps; t++)
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t i = 0; i < features; i++)
                T(same)(T(item)(out, t * places + r, i),
                        T(gather_values)[gather_place(x, order ? (ptrdiff_t)order[first + r] : first + r,
                                                      t0 + t, i)],
                        "out", t * rows + r, i);
    T(release)(0);
}

/* A number that is not finite in REAL is found in the requested part, and only there. */
static void T(gather_bad)(const crnn_source *x, long double bad)
{
    static const int64_t order[] = {5, 1, 3};
    for (ptrdiff_t n = 0; n < SAMPLES; n++)
        for (ptrdiff_t t = 0; t < STEPS; t++)
            for (ptrdiff_t i = 0; i < 3; i++) {
                const MATRIX out = T(allocate)(9, 2, 2);
                const int asked = (n == 1 || n == 3 || n == 5) && t >= 2 && t < 5 && i < 2;
                T(gather_put)(x, n, t, i, bad);
                CASE("kind=%c%d swapped=%d [%td, %td, %td] = %g", x->kind, x->item_size, x->swapped,
                     n, t, i, (double)bad);
                checks++;
                if (T(gather)(out, x, order, 0, 3, 3, 2, 3, 2) == asked)
                    fail(asked ? "not reported" : "reported, but not asked for");
                T(gather_put)(x, n, t, i, 0);
                T(release)(0);
            }
}

static void T(test_gather)(void)
{
    static const int64_t order[] = {6, 0, 3, 3, 1, 5, 2, 4, 0};
    static const ptrdiff_t features[] = {1, 2, 3, 16, FEATURES};
    static const ptrdiff_t row_counts[] = {0, 1, 5};
    static const ptrdiff_t spans[][2] = {{0, 0}, {0, 1}, {2, 3}, {0, STEPS}};

    for (ptrdiff_t d = 0; d < LENGTH(KINDS); d++)
        for (int swapped = 0; swapped <= 1; swapped++)
            for (int layout = 0; layout <= 7; layout++)
                for (ptrdiff_t f = 0; f < LENGTH(features); f++) {
                    const int kind = KINDS[d].kind, size = KINDS[d].size;
                    const crnn_source x = gather_source(layout, kind, size, swapped, features[f]);
                    for (ptrdiff_t n = 0; n < SAMPLES; n++)
                        for (ptrdiff_t t = 0; t < STEPS; t++)
                            for (ptrdiff_t i = 0; i < features[f]; i++)
                                T(gather_put)(&x, n, t, i, 0);
                    for (ptrdiff_t r = 0; r < LENGTH(row_counts); r++)
                        for (ptrdiff_t s = 0; s < LENGTH(spans); s++) {
                            CASE("kind=%c%d swapped=%d layout=%d rows=%td t0=%td timesteps=%td "
                                 "features=%td",
                                 kind, size, swapped, layout, row_counts[r], spans[s][0],
                                 spans[s][1], features[f]);
                            T(gather_case)(&x, NULL, 2, row_counts[r], spans[s][0], spans[s][1],
                                           features[f]);
                            T(gather_case)(&x, order, 3, row_counts[r], spans[s][0], spans[s][1],
                                           features[f]);
                        }
                    T(gather_case)(&x, order, 0, LENGTH(order), 1, 2, features[f]);
                }

    /* all halves, each a sample of one number */
    for (unsigned bits = 0; bits < 0x10000u; bits += 0x800u) {
        static uint16_t halves[0x800];
        const MATRIX out = T(allocate)(0x800, 1, 1);
        const crnn_source x = {(const char *)halves, 2, 0, 0, NULL, 'f', 2, 0};
        for (unsigned i = 0; i < 0x800u; i++)
            halves[i] = (uint16_t)(bits + i);
        CASE("halves %04x to %04x", bits, bits + 0x7ffu);
        checks++;
        if (T(gather)(out, &x, NULL, 0, 0x800, 0x800, 0, 1, 1) != ((bits & 0x7800u) != 0x7800u))
            fail("a wrong report on finite numbers");
        for (unsigned i = 0; i < 0x800u; i++)
            T(same)(T(item)(out, (ptrdiff_t)i, 0), (REAL)half_value(bits + i), "out", (ptrdiff_t)i,
                    0);
        T(release)(0);
    }

    for (ptrdiff_t d = 0; d < LENGTH(KINDS) && KINDS[d].kind == 'f'; d++)
        for (int swapped = 0; swapped <= 1; swapped++) {
            const crnn_source x = gather_source(1, 'f', KINDS[d].size, swapped, 3);
            for (ptrdiff_t n = 0; n < SAMPLES; n++)
                for (ptrdiff_t t = 0; t < STEPS; t++)
                    for (ptrdiff_t i = 0; i < 3; i++)
                        T(gather_put)(&x, n, t, i, 0);
            T(gather_bad)(&x, NAN);
            T(gather_bad)(&x, INFINITY);
            T(gather_bad)(&x, -(long double)INFINITY);
            if (KINDS[d].size > (int)sizeof(REAL)) /* finite in the source, not in REAL */
                T(gather_bad)(&x, -(long double)REAL_MAX * 2);
        }
}

/* ---- the fixed workload of the checksum ---- */

static void T(add_matrix)(MATRIX matrix)
{
    for (ptrdiff_t r = 0; r < matrix.rows; r++)
        for (ptrdiff_t i = 0; i < matrix.n; i++)
            add_to_checksum(T(bits)(T(item)(matrix, r, i)));
}

/* One forward and one backward step of 13 rows, 5 inputs and 37 hidden units, and two updates. */
static void T(workload)(const crnn_isa *isa)
{
    enum { R = 13, I = 5, H = 37 };
    const ptrdiff_t panels = (H + isa->TYPE->panel_width - 1) / isa->TYPE->panel_width;
    const ptrdiff_t width = panels * isa->TYPE->panel_width;
    const MATRIX x = T(drawn_bare)(R, I), h = T(drawn)(R, H), wx = T(drawn)(I, H);
    const MATRIX wh = T(drawn)(H, H), bias = T(drawn)(1, H);
    const MATRIX px = T(allocate)(1, width * I, width * I);
    const MATRIX ph = T(allocate)(1, width * H, width * H);
    const MATRIX out = T(padded_matrix)(R, H), da = T(padded_matrix)(R, H);
    const MATRIX row = T(padded_matrix)(1, H), dwh = T(padded_matrix)(H, H);
    const MATRIX zero = T(padded_matrix)(1, H), m = T(drawn)(1, H), v = T(drawn)(1, H);
    const crnn_term forward[] = {{x.at, x.ld, px.at, I, I}, {h.at, h.ld, ph.at, H, H}};
    const crnn_term backward[] = {{out.at, out.ld, ph.at, H, H}};
    crnn_report report = {0, 0};

    isa->TYPE->pack(px.at, wx.at, wx.ld, I, H);
    isa->TYPE->pack(ph.at, wh.at, wh.ld, H, H);
    isa->TYPE->product(out.at, out.ld, bias.at, 0, forward, 2, CRNN_TANH, NULL, 0, R, H);
    T(add_matrix)(out);
    isa->TYPE->pack_transposed(ph.at, wh.at, wh.ld, H, H);
    for (ptrdiff_t i = 0; i < zero.width; i++)
        zero.at[i] = 0;
    isa->TYPE->product(da.at, da.ld, zero.at, 0, backward, 1, CRNN_TANH_SLOPE, h.at, h.ld,
                       R, H);
    T(add_matrix)(da);
    isa->TYPE->row_product_transposed(row.at, out.at, wh.at, wh.ld, CRNN_TANH_SLOPE, h.at, H, H,
                                       1);
    T(add_matrix)(row);
    isa->TYPE->accumulate(dwh.at, dwh.ld, h.at, h.ld, da.at, da.ld, H, H, R, CRNN_STORE, 0, 0,
                          &report);
    T(add_matrix)(dwh);
    isa->TYPE->accumulate(wh.at, wh.ld, h.at, h.ld, da.at, da.ld, H, H, R, CRNN_DESCEND, (REAL)0.1,
                          1, &report);
    T(add_matrix)(wh);
    for (ptrdiff_t i = 0; i < H; i++)
        v.at[i] = v.at[i] < 0 ? -v.at[i] : v.at[i];
    MATRIX g = dwh;
    g.rows = 3;
    for (ptrdiff_t r = 0; r < LENGTH(T(rules)); r++) {
        crnn_rule rule = T(rules)[r].rule;
        rule.clip = 1;
        T(update_call)(isa, bias, m, v, g, &rule, &report);
        T(add_matrix)(bias);
        T(add_matrix)(m);
        T(add_matrix)(v);
    }
    for (ptrdiff_t i = 0; i < wh.rows * wh.ld; i += wh.ld) {
        for (ptrdiff_t j = 0; j < H; j++)
            wh.at[i + j] *= 8;
        isa->TYPE->tanh(row.at, wh.at + i, H);
        T(add_matrix)(row);
        isa->TYPE->exp(row.at, wh.at + i, H);
        T(add_matrix)(row);
        isa->TYPE->log(row.at, row.at, H);
        T(add_matrix)(row);
    }
    T(release)(0);
}

#undef ROUNDING
#undef LANES
#undef UNLIMITED
#undef MATRIX
#undef REFERENCE
#undef BOUNDED

#endif
