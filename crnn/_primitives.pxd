"""The C primitives, as `_cell.pyx` sees them: the contract stands in `_kernels/kernels.h`."""

from libc.stdint cimport int64_t


cdef extern from "_kernels/kernels.h" nogil:
    enum:
        CRNN_ROW_BYTES
        CRNN_TERMS
        CRNN_L1_BYTES
        CRNN_L2_BYTES
        CRNN_LINEAR
        CRNN_TANH
        CRNN_RELU
        CRNN_TANH_SLOPE
        CRNN_RELU_SLOPE
        CRNN_STORE
        CRNN_ADD
        CRNN_DESCEND
        CRNN_SGD
        CRNN_RMSPROP
        CRNN_ADAM
        CRNN_ADAMW

    ctypedef struct crnn_report:
        double clipped
        double poison

    ctypedef struct crnn_rule:
        int kind
        int nesterov
        double scale
        double clip
        double rate
        double decay
        double momentum
        double beta1
        double beta2
        double eps
        double correction

    ctypedef struct crnn_term:
        const void *a
        ptrdiff_t lda
        const void *w
        ptrdiff_t ldw
        ptrdiff_t k

    ctypedef struct crnn_kernels_f32:
        ptrdiff_t panel_width
        void (*pack)(float *, const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t) noexcept nogil
        void (*pack_transposed)(
            float *, const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t) noexcept nogil
        void (*product)(
            float *, ptrdiff_t, const float *, ptrdiff_t, const crnn_term *, int, int,
            const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t) noexcept nogil
        void (*row_product)(
            float *, const float *, const crnn_term *, int, int, const float *,
            ptrdiff_t, int) noexcept nogil
        void (*row_product_transposed)(
            float *, const float *, const float *, ptrdiff_t, int, const float *,
            ptrdiff_t, ptrdiff_t, int) noexcept nogil
        void (*accumulate)(
            float *, ptrdiff_t, const float *, ptrdiff_t, const float *, ptrdiff_t,
            ptrdiff_t, ptrdiff_t, ptrdiff_t, int, float, float, crnn_report *) noexcept nogil
        double (*sum)(
            float *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t) noexcept nogil
        void (*update)(
            float *, float *, float *, const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t,
            const crnn_rule *, crnn_report *) noexcept nogil
        void (*tanh)(float *, const float *, ptrdiff_t) noexcept nogil
        void (*exp)(float *, const float *, ptrdiff_t) noexcept nogil
        void (*log)(float *, const float *, ptrdiff_t) noexcept nogil
        double (*probe_fma)(float *, ptrdiff_t) noexcept nogil
        void (*probe_read)(float *, const float *, ptrdiff_t) noexcept nogil

    ctypedef struct crnn_kernels_f64:
        ptrdiff_t panel_width
        void (*pack)(double *, const double *, ptrdiff_t, ptrdiff_t, ptrdiff_t) noexcept nogil
        void (*pack_transposed)(
            double *, const double *, ptrdiff_t, ptrdiff_t, ptrdiff_t) noexcept nogil
        void (*product)(
            double *, ptrdiff_t, const double *, ptrdiff_t, const crnn_term *, int, int,
            const double *, ptrdiff_t, ptrdiff_t, ptrdiff_t) noexcept nogil
        void (*row_product)(
            double *, const double *, const crnn_term *, int, int, const double *,
            ptrdiff_t, int) noexcept nogil
        void (*row_product_transposed)(
            double *, const double *, const double *, ptrdiff_t, int, const double *,
            ptrdiff_t, ptrdiff_t, int) noexcept nogil
        void (*accumulate)(
            double *, ptrdiff_t, const double *, ptrdiff_t, const double *, ptrdiff_t,
            ptrdiff_t, ptrdiff_t, ptrdiff_t, int, double, double, crnn_report *) noexcept nogil
        double (*sum)(
            double *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t) noexcept nogil
        void (*update)(
            double *, double *, double *, const double *, ptrdiff_t, ptrdiff_t, ptrdiff_t,
            const crnn_rule *, crnn_report *) noexcept nogil
        void (*tanh)(double *, const double *, ptrdiff_t) noexcept nogil
        void (*exp)(double *, const double *, ptrdiff_t) noexcept nogil
        void (*log)(double *, const double *, ptrdiff_t) noexcept nogil
        double (*probe_fma)(double *, ptrdiff_t) noexcept nogil
        void (*probe_read)(double *, const double *, ptrdiff_t) noexcept nogil

    ctypedef struct crnn_isa:
        const char *name
        const crnn_kernels_f32 *f32
        const crnn_kernels_f64 *f64

    const crnn_isa *crnn_available(int i)


cdef extern from "_kernels/source.h" nogil:
    ctypedef struct crnn_source:
        const char *data
        ptrdiff_t stride_n
        ptrdiff_t stride_t
        ptrdiff_t stride_i
        const int64_t *starts
        int kind
        int item_size
        int swapped

    int crnn_gather_f32(
        float *, ptrdiff_t, const crnn_source *, const int64_t *, ptrdiff_t, ptrdiff_t,
        ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, int)
    int crnn_gather_f64(
        double *, ptrdiff_t, const crnn_source *, const int64_t *, ptrdiff_t, ptrdiff_t,
        ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, int)


cdef extern from "_kernels/threads.h" nogil:
    ctypedef long crnn_atomic
    long crnn_load(crnn_atomic *)
    void crnn_store(crnn_atomic *, long)
    long crnn_fetch_add(crnn_atomic *, long)
    void crnn_pause()
    double crnn_seconds()
    void crnn_sleep()
    long crnn_process()
