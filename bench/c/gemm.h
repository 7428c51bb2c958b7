/* A library's matrix products as blas.c and blas_network.c are given them. Compiled with -DBLAS_INT=, its integer. */
typedef BLAS_INT integer;
typedef void gemm_function(int, int, int, integer, integer, integer, real, const real *, integer, const real *, integer,
                           real, real *, integer);
typedef void gemv_function(int, int, integer, integer, real, const real *, integer, const real *, integer, real, real *,
                           integer);
typedef size_t pack_size_function(int, integer, integer, integer);
typedef void pack_function(int, int, int, integer, integer, integer, real, const real *, integer, real *);
typedef void compute_function(int, int, int, integer, integer, integer, const real *, integer, const real *, integer, real,
                              real *, integer);
enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112, PACKED = 151, B_MATRIX = 162 };

typedef struct {
    gemm_function *gemm;
    gemv_function *gemv;
    pack_size_function *pack_size; /* null: weights are not packed */
    pack_function *pack;
    compute_function *compute;
} library;
