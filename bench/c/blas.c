/* c-blas: batched BPTT on a library's matrix products. Buffers are allocated once, and one product gives the gradients
   of many steps.

   Compile with the macros of cell.h and -DBLAS_INT=, the library's integer. Sizes are known only at run time.

   A row of S holds [h_t | x_{t+1} | 1 | 0]. The rows of W are those of Wh, Wx and b. So one product per step adds up
   states, inputs and bias, and one long product S' D is the gradient of all three. */
#include "cell.h"
#include "gemm.h"

static library blas;
static int T, I, H, O, B; /* B: rows of a batch, or of a block of predict */
static int chunk;         /* steps of one product for the gradients */
static int K, SP, HP;     /* H + I + 1, and the strides of S and D */
static real *S;           /* (T + 1, B, SP) */
static real *A;           /* (B, HP): sums before tanh */
static real *D;           /* (T, B, HP): da */
static real *dh, *last;   /* (B, HP) */
static real *W, *dW;      /* (K, HP) */
static real *Wy, *by;     /* (O, HP), (O) */
static real *P, *Pt;      /* W and Wh' as the library packs them */

/* sums (B, H) = s (B, H + I + 1) W; from the inputs alone at the first step */
static void forward(const real *s, int first)
{
    if (first) blas.gemm(ROW_MAJOR, PLAIN, PLAIN, B, H, I + 1, 1, s + H, SP, W + (size_t)H * HP, HP, 0, A, HP);
    else if (B == 1) blas.gemv(ROW_MAJOR, TRANSPOSED, K, H, 1, W, HP, s, 1, 0, A, 1);
    else if (P) blas.compute(ROW_MAJOR, PLAIN, PACKED, B, H, K, s, SP, P, HP, 0, A, HP);
    else blas.gemm(ROW_MAJOR, PLAIN, PLAIN, B, H, K, 1, s, SP, W, HP, 0, A, HP);
}

/* dh (B, H) = d Wh' */
static void backward(const real *d)
{
    if (B == 1) blas.gemv(ROW_MAJOR, PLAIN, H, H, 1, W, HP, d, 1, 0, dh, 1);
    else if (Pt) blas.compute(ROW_MAJOR, PLAIN, PACKED, B, H, H, d, HP, Pt, HP, 0, dh, HP);
    else blas.gemm(ROW_MAJOR, PLAIN, TRANSPOSED, B, H, H, 1, d, HP, W, HP, 0, dh, HP);
}

/* The first H columns of s (B, SP) = tanh(A). The others keep their values. */
static void activate(real *s)
{
    const int whole = H / LANES * LANES;
    for (int b = 0; b < B; b++, s += SP) {
        const real *a = A + (size_t)b * HP;
        for (int j = 0; j < whole; j += LANES) STORE(s + j, tanh_of(LOAD(a + j)));
        if (whole < H) {
            const vec rest = tanh_of(LOAD(a + whole));
            memcpy(s + whole, &rest, sizeof(real) * (H - whole));
        }
    }
}

/* d (B, HP) = dh (1 - h^2) */
static void slope(real *d, const real *s)
{
    for (int b = 0; b < B; b++, d += HP, s += SP) {
        const real *g = dh + (size_t)b * HP;
        for (int j = 0; j < HP; j += LANES) { /* dh is zero past H */
            const vec h = LOAD(s + j);
            STORE(d + j, LOAD(g + j) * (1 - h * h));
        }
    }
}

static void batch(const real *x, const real *y)
{
    const size_t row = (size_t)B * SP, step = (size_t)B * HP;
    for (int t = 0; t < T; t++)
        for (int b = 0; b < B; b++, x += I) memcpy(S + t * row + (size_t)b * SP + H, x, sizeof(real) * I);
    if (P) {
        blas.pack(ROW_MAJOR, B_MATRIX, PLAIN, B, H, K, 1, W, HP, P);
        blas.pack(ROW_MAJOR, B_MATRIX, TRANSPOSED, B, H, H, 1, W, HP, Pt);
    }
    for (int t = 0; t < T; t++) {
        forward(S + t * row, t == 0);
        activate(S + (t + 1) * row);
    }
    for (int b = 0; b < B; b++) memcpy(last + (size_t)b * HP, S + T * row + (size_t)b * SP, sizeof(real) * H);
    output_layer(dh, Wy, by, last, y, B, O, HP);
    int high = T;
    for (int t = T - 1; t >= 0; t--) {
        slope(D + t * step, S + (t + 1) * row);
        if (t) backward(D + t * step);
        if (t == 1 || high - t == chunk) { /* the state before the first step is zero */
            const int low = t ? t : 1, first = high == T;
            if (high > low)
                blas.gemm(ROW_MAJOR, TRANSPOSED, PLAIN, K, H, (high - low) * B, 1, S + low * row, SP, D + low * step, HP,
                          first ? 0 : 1, dW, HP);
            high = low;
        }
    }
    blas.gemm(ROW_MAJOR, TRANSPOSED, PLAIN, I + 1, H, B, 1, S + H, SP, D, HP, T > 1, dW + (size_t)H * HP, HP);
    for (size_t i = 0; i < (size_t)K * HP; i += LANES) STORE(W + i, stepped(LOAD(W + i), LOAD(dW + i)));
}

/* x: batches of (T, B, I); y (N, O) */
void train(const real *x, const real *y, int N)
{
    for (int n = 0; n < N; n += B) batch(x + (size_t)n * T * I, y + (size_t)n * O);
}

/* y (N, O) from x (N, T, I) */
void predict(real *y, const real *x, int N)
{
    for (int n = 0; n < N; n += B) {
        const int at = n + B <= N ? n : N - B; /* the last block overlaps the one before */
        for (int t = 0; t < T; t++) {
            for (int b = 0; b < B; b++)
                memcpy(S + (size_t)b * SP + H, x + ((size_t)(at + b) * T + t) * I, sizeof(real) * I);
            forward(S, t == 0);
            activate(S);
        }
        for (int b = 0; b < B; b++) memcpy(last + (size_t)b * HP, S + (size_t)b * SP, sizeof(real) * H);
        outputs(y + (size_t)at * O, last, Wy, by, B, O, HP);
    }
}

/* Allocates the buffers. sizes: T, I, H, O, B, chunk, and the steps with stored states (T, or 0 for predict). */
void start(const library *functions, const int *sizes)
{
    blas = *functions;
    T = sizes[0], I = sizes[1], H = sizes[2], O = sizes[3], B = sizes[4], chunk = sizes[5];
    const size_t kept = sizes[6];
    const int line = 64 / sizeof(real);
    K = H + I + 1, SP = (K + line - 1) / line * line, HP = (H + line - 1) / line * line;
    const size_t step = sizeof(real) * B * HP, weights = sizeof(real) * K * HP;
    S = zeros(sizeof(real) * (kept + 1) * B * SP), D = zeros(step * kept), A = zeros(step);
    dh = zeros(step), last = zeros(step), W = zeros(weights), dW = zeros(weights);
    Wy = zeros(sizeof(real) * O * HP), by = zeros(sizeof(real) * O);
    for (size_t i = 0; i < (kept + 1) * B; i++) S[i * SP + H + I] = 1;
    if (blas.pack_size) {
        P = zeros(blas.pack_size(B_MATRIX, B, H, K)), Pt = zeros(blas.pack_size(B_MATRIX, B, H, H));
    }
}

/* Copies the weights in, row by row. */
void load(const real *Wx, const real *Wh, const real *b, const real *Wy_, const real *by_)
{
    for (int i = 0; i < K; i++)
        memcpy(W + (size_t)i * HP, i < H ? Wh + (size_t)i * H : i < H + I ? Wx + (size_t)(i - H) * H : b, sizeof(real) * H);
    for (int o = 0; o < O; o++)
        for (int j = 0; j < H; j++) Wy[(size_t)o * HP + j] = Wy_[j * O + o];
    memcpy(by, by_, sizeof(real) * O);
    if (P) blas.pack(ROW_MAJOR, B_MATRIX, PLAIN, B, H, K, 1, W, HP, P);
}

/* Copies the weights out, row by row. */
void store(real *Wx, real *Wh, real *b, real *Wy_, real *by_)
{
    for (int i = 0; i < K; i++)
        memcpy(i < H ? Wh + (size_t)i * H : i < H + I ? Wx + (size_t)(i - H) * H : b, W + (size_t)i * HP, sizeof(real) * H);
    for (int o = 0; o < O; o++)
        for (int j = 0; j < H; j++) Wy_[j * O + o] = Wy[(size_t)o * HP + j];
    memcpy(by_, by, sizeof(real) * O);
}
