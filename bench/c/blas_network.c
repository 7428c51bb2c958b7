/* c-blas for networks of several layers, directions or outputs: each cell as in blas.c, one cell after the other.

   Compile as blas.c. H is a multiple of LANES and B more than 1. Outputs at every step need one direction.

   A cell has its own order of steps: step k is time k forward and time T - 1 - k backward. A row of its S holds
   [state before step k | input | 1 | 0]. The rows of its W are those of Wh, Wx and b. One product per step adds up all
   three. In the backward pass one product gives E: [gradient of that state | gradient of the input]. */
#include "cell.h"
#include "gemm.h"

typedef struct {
    int inputs;     /* 0: rows of a table, by token */
    int K, SP, EP;  /* H + inputs + 1, and the strides of S and E */
    int back;       /* columns of E: H + inputs, or H if the gradient of the input is not needed */
    size_t next;    /* from one step's E to the next one's; 0 if only the last is needed */
    real *S;        /* (T + 1, B, SP) */
    real *E;        /* (T + 1, B, EP) */
    real *dA;       /* (T, B, H): da */
    real *W, *dW;   /* (K, H) */
    real *P, *Pt;   /* W and the first `back` rows of W, transposed, as the library packs them */
} cell;

enum { MOST = 4 };
static library blas;
static int T, I, H, O, B, L, D; /* B: rows of a batch; L layers of D directions */
static int chunk;               /* steps of one product for the gradients */
static int every, tokens, classes;
static cell cells[MOST][2];
static real *A;                   /* (B, H): sums before tanh */
static real *table, *dtable;      /* (I, H): Wx by token */
static real *Wy, *dWy, *by, *dby; /* (O, D H), (O) */
static real *z;                   /* (T, B, O): outputs, then their gradient */
static real *last, *dlast;        /* (B, D H) */

/* the time of step k of direction d, and the step of a time */
static int time_of(int d, int k)
{
    return d ? T - 1 - k : k;
}

/* to (B, H) = from, rows of other strides */
static void copy(real *to, int to_stride, const real *from, int from_stride)
{
    for (int b = 0; b < B; b++, to += to_stride, from += from_stride) memcpy(to, from, sizeof(real) * H);
}

/* A = s W; without the state's rows at the first step */
static void product(const cell *c, const real *s, int first, int add)
{
    const int skip = first ? H : 0;
    if (c->P && !first) blas.compute(ROW_MAJOR, PLAIN, PACKED, B, H, c->K, s, c->SP, c->P, H, add, A, H);
    else
        blas.gemm(ROW_MAJOR, PLAIN, PLAIN, B, H, c->K - skip, 1, s + skip, c->SP, c->W + (size_t)skip * H, H, add, A, H);
}

static void forward(int l, int d, const real *x, const int32_t *token)
{
    const cell *c = &cells[l][d];
    const size_t row = (size_t)B * c->SP;
    for (int k = 0; k < T; k++) {
        const int t = time_of(d, k);
        real *s = c->S + k * row, *after = s + row;
        if (!c->inputs)
            for (int b = 0; b < B; b++) memcpy(A + (size_t)b * H, table + (size_t)token[t * B + b] * H, sizeof(real) * H);
        else if (!l)
            for (int b = 0; b < B; b++) memcpy(s + (size_t)b * c->SP + H, x + ((size_t)t * B + b) * I, sizeof(real) * I);
        product(c, s, k == 0, !c->inputs);
        for (int b = 0; b < B; b++)
            for (int j = 0; j < H; j += LANES) STORE(after + (size_t)b * c->SP + j, tanh_of(LOAD(A + (size_t)b * H + j)));
        for (int e = 0; l + 1 < L && e < D; e++) {
            const cell *above = &cells[l + 1][e];
            copy(above->S + (size_t)time_of(e, t) * B * above->SP + H + d * H, above->SP, after, c->SP);
        }
    }
}

/* The states' gradient at the last step of a cell: from the output layer, or zero. */
static void begin(int l, int d)
{
    const cell *c = &cells[l][d];
    real *e = c->E + T * c->next;
    if (l + 1 < L) for (int b = 0; b < B; b++) memset(e + (size_t)b * c->EP, 0, sizeof(real) * H);
    else if (every) blas.gemm(ROW_MAJOR, PLAIN, PLAIN, B, H, O, 1, z + (size_t)(T - 1) * B * O, O, Wy, H, 0, e, c->EP);
    else copy(e, c->EP, dlast + d * H, D * H);
}

/* da (B, H) = (e + the parts of the cells above) (1 - h^2) */
static void slope(int l, int d, int k)
{
    const cell *c = &cells[l][d];
    const real *e = c->E + (k + 1) * c->next, *h = c->S + (size_t)(k + 1) * B * c->SP;
    const int above = l + 1 < L ? D : 0, stride = above ? cells[l + 1][0].EP : 0;
    const real *from[2];
    for (int i = 0; i < above; i++) {
        const cell *a = &cells[l + 1][i];
        from[i] = a->E + time_of(i, time_of(d, k)) * a->next + H + d * H;
    }
    real *da = c->dA + (size_t)k * B * H;
    for (int b = 0; b < B; b++)
        for (int j = 0; j < H; j += LANES) {
            const vec s = LOAD(h + (size_t)b * c->SP + j);
            vec sum = LOAD(e + (size_t)b * c->EP + j);
            for (int i = 0; i < above; i++) sum += LOAD(from[i] + (size_t)b * stride + j);
            STORE(da + (size_t)b * H + j, sum * (1 - s * s));
        }
}

static void step(real *w, const real *gradient, size_t size)
{
    for (size_t i = 0; i < size; i += LANES) STORE(w + i, stepped(LOAD(w + i), LOAD(gradient + i)));
}

static void backward(int l, int d, const int32_t *token)
{
    const cell *c = &cells[l][d];
    const size_t row = (size_t)B * c->SP, da = (size_t)B * H;
    int high = T;
    begin(l, d);
    for (int k = T - 1; k >= 0; k--) {
        slope(l, d, k);
        real *e = c->E + k * c->next;
        if (k == 0 && c->back == H) { /* not needed */
        } else if (c->Pt) blas.compute(ROW_MAJOR, PLAIN, PACKED, B, c->back, H, c->dA + k * da, H, c->Pt, H, 0, e, c->EP);
        else blas.gemm(ROW_MAJOR, PLAIN, TRANSPOSED, B, c->back, H, 1, c->dA + k * da, H, c->W, H, 0, e, c->EP);
        if (k && every && l == L - 1)
            blas.gemm(ROW_MAJOR, PLAIN, PLAIN, B, H, O, 1, z + (size_t)(k - 1) * B * O, O, Wy, H, 1, e, c->EP);
        if (k == 1 || high - k == chunk) { /* the state before the first step is zero */
            const int low = k ? k : 1, first = high == T;
            if (high > low)
                blas.gemm(ROW_MAJOR, TRANSPOSED, PLAIN, c->K, H, (high - low) * B, 1, c->S + low * row, c->SP,
                          c->dA + low * da, H, !first, c->dW, H);
            high = low;
        }
    }
    blas.gemm(ROW_MAJOR, TRANSPOSED, PLAIN, c->inputs + 1, H, B, 1, c->S + H, c->SP, c->dA, H, T > 1,
              c->dW + (size_t)H * H, H);
    if (!c->inputs) {
        memset(dtable, 0, sizeof(real) * I * H);
        for (int n = 0; n < T * B; n++) {
            real *to = dtable + (size_t)token[n] * H;
            const real *from = c->dA + (size_t)n * H;
            for (int j = 0; j < H; j += LANES) STORE(to + j, LOAD(to + j) + LOAD(from + j));
        }
        step(table, dtable, (size_t)I * H);
    }
}

/* x (T, B, I) or tokens (T, B); y (B, O) or, at every step, (T, B, O) or classes (T, B) */
static void batch(const void *x, const void *y)
{
    for (int l = 0; l < L; l++)
        for (int d = 0; d < D; d++) {
            const cell *c = &cells[l][d];
            if (c->P) {
                blas.pack(ROW_MAJOR, B_MATRIX, PLAIN, B, H, c->K, 1, c->W, H, c->P);
                blas.pack(ROW_MAJOR, B_MATRIX, TRANSPOSED, B, c->back, H, 1, c->W, H, c->Pt);
            }
            forward(l, d, x, x);
        }
    const cell *top = cells[L - 1];
    const size_t row = (size_t)B * top->SP;
    if (every) {
        blas.gemm(ROW_MAJOR, PLAIN, TRANSPOSED, T * B, O, H, 1, top->S + row, top->SP, Wy, H, 0, z, O);
        loss_gradient(z, dby, by, y, classes ? y : 0, T * B, O);
        blas.gemm(ROW_MAJOR, TRANSPOSED, PLAIN, O, H, T * B, 1, z, O, top->S + row, top->SP, 0, dWy, H);
    } else {
        for (int d = 0; d < D; d++) copy(last + d * H, D * H, top[d].S + T * row, top->SP);
        output_layer(dlast, Wy, by, last, y, B, O, D * H);
    }
    for (int l = L - 1; l >= 0; l--)
        for (int d = 0; d < D; d++) backward(l, d, x);
    for (int l = 0; l < L; l++)
        for (int d = 0; d < D; d++) step(cells[l][d].W, cells[l][d].dW, (size_t)cells[l][d].K * H);
    if (every) {
        step(Wy, dWy, (size_t)O * H);
        for (int o = 0; o < O; o++) by[o] -= (real)1e-2 * (dby[o] > 1 ? 1 : dby[o] < -1 ? -1 : dby[o]);
    }
}

void train(const void *x, const void *y, int N)
{
    const size_t inputs = tokens ? sizeof(int32_t) : sizeof(real) * I;
    const size_t targets = (classes ? sizeof(int32_t) : sizeof(real) * O) * (every ? T : 1);
    for (int n = 0; n < N; n += B) batch((const char *)x + n * T * inputs, (const char *)y + n * targets);
}

/* Allocates the buffers. sizes: T, I, H, O, B, chunk, L, D, every, tokens, classes. */
void start(const library *functions, const int *sizes)
{
    blas = *functions;
    T = sizes[0], I = sizes[1], H = sizes[2], O = sizes[3], B = sizes[4], chunk = sizes[5];
    L = sizes[6], D = sizes[7], every = sizes[8], tokens = sizes[9], classes = sizes[10];
    const int line = 64 / sizeof(real);
    for (int l = 0; l < L; l++)
        for (int d = 0; d < D; d++) {
            cell *c = &cells[l][d];
            c->inputs = l ? D * H : tokens ? 0 : I;
            c->K = H + c->inputs + 1, c->SP = (c->K + line - 1) / line * line;
            c->back = c->EP = l ? H + D * H : H;
            c->next = l ? (size_t)B * c->EP : 0;
            c->S = zeros(sizeof(real) * (T + 1) * B * c->SP), c->dA = zeros(sizeof(real) * T * B * H);
            c->E = zeros(sizeof(real) * (l ? T + 1 : 1) * B * c->EP);
            c->W = zeros(sizeof(real) * c->K * H), c->dW = zeros(sizeof(real) * c->K * H);
            for (size_t i = 0; i < (size_t)(T + 1) * B; i++) c->S[i * c->SP + c->K - 1] = 1;
            if (blas.pack_size) {
                c->P = zeros(blas.pack_size(B_MATRIX, B, H, c->K));
                c->Pt = zeros(blas.pack_size(B_MATRIX, B, c->back, H));
            }
        }
    A = zeros(sizeof(real) * B * H), last = zeros(sizeof(real) * B * D * H), dlast = zeros(sizeof(real) * B * D * H);
    table = zeros(sizeof(real) * I * H), dtable = zeros(sizeof(real) * I * H), z = zeros(sizeof(real) * T * B * O);
    Wy = zeros(sizeof(real) * O * D * H), dWy = zeros(sizeof(real) * O * D * H);
    by = zeros(sizeof(real) * O), dby = zeros(sizeof(real) * O);
}

static void move(real *ours, real *theirs, size_t size, int back)
{
    memcpy(back ? theirs : ours, back ? ours : theirs, sizeof(real) * size);
}

/* Copies Wx, Wh and b of each cell, then Wy and by, in or out. */
static void exchange(real *const *arrays, int back)
{
    for (int l = 0; l < L; l++)
        for (int d = 0; d < D; d++, arrays += 3) {
            const cell *c = &cells[l][d];
            move(c->inputs ? c->W + (size_t)H * H : table, arrays[0], (size_t)(c->inputs ? c->inputs : I) * H, back);
            move(c->W, arrays[1], (size_t)H * H, back);
            move(c->W + (size_t)(c->K - 1) * H, arrays[2], H, back);
        }
    for (int o = 0; o < O; o++)
        for (int j = 0; j < D * H; j++) move(Wy + o * D * H + j, arrays[0] + j * O + o, 1, back);
    move(by, arrays[1], O, back);
}

void load(real *const *arrays)
{
    exchange(arrays, 0);
}

void store(real *const *arrays)
{
    exchange(arrays, 1);
}
