/* A caller's array in memory: any strides, byte order, alignment and real type. */
#ifndef CRNN_SOURCE_H
#define CRNN_SOURCE_H

#include <stddef.h>
#include <stdint.h>

/* The type of an element: NumPy's kind ('i', 'u', 'f') and item size. */
typedef struct {
    const char *data;
    ptrdiff_t stride_n, stride_t, stride_i; /* bytes from one sample, timestep, feature to the next */
    const int64_t *starts; /* the timestep at which each sample begins, in place of stride_n; or NULL */
    int kind;
    int item_size;
    int swapped; /* the other byte order than this machine's */
} crnn_source;

/* out[(t * places + r) * ldo + i] = x[sample(r), t0 + t, i], converted, r < rows; sample(r) is
   order[first + r], or first + r where order is NULL. With `check`, returns 0 when a number is not
   finite in the type of `out`. */
int crnn_gather_f32(float *out, ptrdiff_t ldo, const crnn_source *x, const int64_t *order,
                    ptrdiff_t first, ptrdiff_t rows, ptrdiff_t places, ptrdiff_t t0,
                    ptrdiff_t timesteps, ptrdiff_t features, int check);
int crnn_gather_f64(double *out, ptrdiff_t ldo, const crnn_source *x, const int64_t *order,
                    ptrdiff_t first, ptrdiff_t rows, ptrdiff_t places, ptrdiff_t t0,
                    ptrdiff_t timesteps, ptrdiff_t features, int check);

#endif
