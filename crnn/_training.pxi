"""An epoch of training: shards, BPTT, clipped updates. Part of `_cell.pyx`."""

cdef enum:
    MAX_SHARDS = 16


cdef ptrdiff_t shard_rows(ptrdiff_t batch, ptrdiff_t H) noexcept nogil:
    """Rows of a shard. They decide the order of sums, so they depend on shapes alone."""
    # 32 rows are faster where the weights exceed the caches (H 512: 889 to 909 ms on wide) and where the
    # overhead of a step matters (H 32: 3.5 to 3.7 ms on small). Between them 16 rows are as fast and
    # give work to more threads.
    cdef ptrdiff_t rows = 32 if H <= 64 or H >= 512 else 16
    cdef ptrdiff_t pieces = max(1, min((batch + rows - 1) // rows, MAX_SHARDS))
    return (batch + pieces - 1) // pieces


def shards(batch, H):
    """The number of shards of a batch."""
    cdef ptrdiff_t rows = shard_rows(batch, H)
    return (batch + rows - 1) // rows


cdef ptrdiff_t chunk_steps(ptrdiff_t rows, ptrdiff_t T, ptrdiff_t row_bytes) noexcept nogil:
    """Timesteps of BPTT between two sums for dWh: da fills half of the second-level cache, and has at
    least 128 rows."""
    return min(T, max(128 // rows, CRNN_L2_BYTES // 2 // (row_bytes * rows), 1))


cdef crnn_rule rule_of(optimizer, clip_value) except *:
    """The rule of an optimiser, without the numbers that change with each update."""
    cdef crnn_rule rule
    settings = optimizer.settings()
    rule.kind = {"sgd": CRNN_SGD, "rmsprop": CRNN_RMSPROP, "adam": CRNN_ADAM, "adamw": CRNN_ADAMW}[
        settings["name"]]
    rule.nesterov = settings.get("nesterov", False)
    rule.scale = 1
    rule.clip = INFINITY if clip_value is None else clip_value
    rule.decay = settings["weight_decay"]
    rule.momentum = settings.get("momentum", 0)
    rule.beta1, rule.beta2 = settings.get("betas", (0, settings.get("alpha", 0)))
    rule.eps = settings.get("eps", 0)
    rule.rate = rule.correction = 0
    return rule


cdef struct Desk:
    # The workspace of one thread: the block of the forward pass, da (L D, da_steps + 1, rows, lds),
    # outputs and then their gradients y (outs, rows, ldo), targets of a step, weights of the rows, and the
    # rows of a long sum without gaps (`without_holes`).
    Block block
    void *da
    void *y
    void *target
    void *masked
    double *weight
    void *a_rows
    void *b_rows
    crnn_report report    # of this thread's share of an update


cdef inline void add_report(crnn_report *total, crnn_report *part) noexcept nogil:
    total.clipped += part.clipped
    total.poison += part.poison
    part.clipped = part.poison = 0


cdef class Training(Forward):
    """Epochs of one network on one data set. All memory is allocated at the start."""

    cdef crnn_source y
    cdef ptrdiff_t B, rows, shards, chunk, da_steps, stride, steps, targets
    cdef bint mean, shifted, by_row, every
    cdef bint trains      # False: only sum the gradients
    cdef bint direct      # subtract the gradient from the weights without storing it
    cdef bint measures    # compute the norm of the gradient
    cdef crnn_rule rule
    cdef double learning_rate, weight_decay, clip_norm
    cdef double beta1_power, beta2_power
    cdef ptrdiff_t step   # updates so far
    cdef double norm_sum, norm_max
    cdef Loss loss
    cdef const int64_t *plan
    cdef const double *sample_weight
    cdef ptrdiff_t updates
    cdef const double *rates
    cdef object order_array, plan_array, rates_array, table_array, bound
    cdef Desk *desks
    cdef void *gradients
    cdef void *table      # gradient of the tables: all shards add to it, in order
    cdef void *carried    # (L, B, lds): states after a chunk of steps, for the next chunk
    cdef void *m
    cdef void *v
    cdef double losses[MAX_SHARDS]
    cdef crnn_report report
    cdef crnn_atomic turn # the shard that may add to the tables now
    cdef double loss_sum, loss_weight, last_loss
    cdef ptrdiff_t bad_batch, batch
    cdef crnn_atomic halted   # end the epoch after the current batch
    cdef bint ended
    cdef bint cancelled    # stopped before the update of the current batch
    cdef readonly object gradient
    cdef readonly object moments  # "m" and "v", if the rule has them: arrays by parameter name

    def __init__(
        self, Weights weights not None, x, y, ptrdiff_t batch_size, int threads, *, loss,
        optimizer=None, clip_value=None, clip_norm=None, bint mean=True, bint shifted=False,
        bint every=False, steps=None, sample_weight=None, h0=None, double dropout=0,
        double recurrent_dropout=0,
    ):
        super().__init__(weights, x, threads, h0=h0)
        at = self.net.at
        objective = Objective(loss, at.O)
        self.loss = (<Objective>objective).terms
        self.targets = 1 if self.loss.kind == LOSS_CROSS_ENTROPY else at.O
        if len(y) != len(x) or y.features != self.targets or y.steps != (x.steps if every else 1):
            raise ValueError(f"{len(x)} samples and {len(y)} targets do not fit this network")
        self.y = source(y.array, y.starts)
        self.B = min(batch_size, self.N)
        self.every, self.mean, self.shifted = every, mean, shifted
        self.steps = self.T if steps is None else min(self.T, steps)
        if sample_weight is not None:
            self.sample_weight = <const double *>pointer(sample_weight)
        self.trains = optimizer is not None
        if self.trains:
            self.rule = rule_of(optimizer, clip_value)
        self.weight_decay = self.rule.decay
        self.measures = clip_norm is not None
        self.clip_norm = INFINITY if clip_norm is None else clip_norm
        self.beta1_power = self.beta2_power = 1
        self.dropout, self.recurrent_dropout = dropout_of(dropout), dropout_of(recurrent_dropout)
        # one layer with a batch of one does not pack its weights
        self.by_row = (self.B == 1 and at.L * at.D == 1 and not every and not at.tokens
                       and recurrent_dropout == 0)
        self.direct = (self.by_row and self.trains and self.rule.kind == CRNN_SGD
                       and self.rule.momentum == 0 and self.weight_decay == 0 and not self.measures)
        # the last batch is shorter, but its shards may be longer
        self.rows = max(shard_rows(self.B, at.H), shard_rows(self.N % self.B, at.H))
        self.shards = (self.B + shard_rows(self.B, at.H) - 1) // shard_rows(self.B, at.H)
        self.chunk = self.steps if self.by_row else chunk_steps(
            self.rows, self.steps, at.lds * at.item)
        # da of all steps if it is read later: by the other direction, or for the table
        self.da_steps = self.steps if at.D > 1 or at.tokens else self.chunk
        self.ldx = 1 if at.tokens else at.I + at.bias
        self.stride = padded(at.tables, at.item) + CRNN_ROW_BYTES // at.item
        self.kept += [y, objective, sample_weight]
        self.allocate()

    cdef int allocate(self) except -1:
        cdef int i
        cdef Desk *desk
        at = self.net.at
        cdef object rows = self.rows, cells = at.L * at.D
        demand((<object>self.steps + 2) * rows * cells * (self.ldx + 2 * at.lds + at.O + at.ldo))
        desks = np.zeros(self.threads * sizeof(Desk), np.uint8)
        self.kept.append(desks)
        self.desks = <Desk *>pointer(desks)
        outs = self.steps if self.every else 1
        for i in range(self.threads):
            desk = &self.desks[i]
            # one more state before all others, for `shifted`
            self.make_block(&desk.block, rows, self.steps, self.steps, self.steps + 2,
                            outs if not self.every or at.D > 1 else 0)
            desk.block.slots -= 1
            desk.block.h = <char *>desk.block.h + self.rows * at.lds * at.item
            desk.block.alternate = True
            if self.dropout.below > 0 and at.L > 1:
                desk.block.dropped = self.keep(cells * self.steps * rows * at.lds)
            if self.recurrent_dropout.below > 0:
                desk.block.before = self.keep(cells * self.steps * rows * at.lds)
            if desk.block.before != NULL or desk.block.dropped != NULL:
                desk.masked = self.keep(2 * rows * at.lds)
            desk.da = self.keep(cells * (self.da_steps + 1) * rows * at.lds)
            desk.y = self.keep(outs * rows * at.ldo)
            desk.target = self.keep(rows * self.targets)
            if self.sample_weight != NULL:
                weight = np.zeros(rows)
                self.kept.append(weight)
                desk.weight = <double *>pointer(weight)
            if self.lengths != NULL:
                widest = max(at.lds, at.ldj, at.ldo, self.ldx)
                desk.a_rows = self.keep(self.chunk * rows * widest)
                desk.b_rows = self.keep(self.chunk * rows * widest)
        if not self.by_row:
            self.net.panels = self.keep(at.packed)
        for i in range(self.threads):
            prepare_block(&self.net, &self.desks[i].block)
        if not self.direct:
            self.allocate_gradients()
        self.moments = {}
        if self.trains and (self.rule.kind >= CRNN_ADAM or self.rule.momentum != 0):
            m = self.kept_zeros(at.count)
            self.m, self.moments["m"] = pointer(m), self.weights.views(m)
        if self.trains and self.rule.kind != CRNN_SGD:
            v = self.kept_zeros(at.count)
            self.v, self.moments["v"] = pointer(v), self.weights.views(v)
        if self.steps < self.T:
            self.carried = self.keep(<object>at.L * self.B * at.lds)
        return 0

    cdef int allocate_gradients(self) except -1:
        gradients = self.kept_zeros(self.shards * self.stride)
        table = self.kept_zeros(self.net.at.count - self.net.at.tables)
        self.gradients, self.table = pointer(gradients), pointer(table)
        self.gradient = self.weights.views(gradients, table)
        self.table_array = table
        return 0

    def rebind(self, x, y, sample_weight=None, h0=None):
        """Use other data of the same shapes in the same memory."""
        if (len(x), x.steps, x.lengths is None, len(y), h0 is None, sample_weight is None) != (
                self.N, self.T, self.lengths == NULL, self.N, self.h0 == NULL,
                self.sample_weight == NULL):
            raise ValueError(f"{len(x)} samples of {x.steps} steps do not fit")
        self.bound = (x, y, sample_weight, h0)
        self.x, self.y = source(x.array, x.starts), source(y.array, y.starts)
        self.lengths = integers(x.lengths)
        if h0 is not None:
            self.h0 = <const char *>pointer(h0)
        if sample_weight is not None:
            self.sample_weight = <const double *>pointer(sample_weight)
        if self.net.at.tokens:
            self.table_array[:] = 0

    def apply(self, gradients, double rate):
        """One step of the optimiser along given gradients, by name."""
        if self.gradients == NULL:
            self.allocate_gradients()
        for name, array in self.gradient.items():
            array[...] = gradients[name]
        self.learning_rate = rate
        with nogil:
            if self.net.at.item == 4:
                self.begin_step(1, <float *>NULL)
                self.step_share(1, 0, 1, &self.report, <float *>NULL)
            else:
                self.begin_step(1, <double *>NULL)
                self.step_share(1, 0, 1, &self.report, <double *>NULL)

    @property
    def updates_done(self):
        """Updates so far. Together with `moments` this is the state of the optimiser."""
        return self.step

    @updates_done.setter
    def updates_done(self, ptrdiff_t updates):
        cdef ptrdiff_t i
        self.step = updates
        self.beta1_power = self.beta2_power = 1
        for i in range(updates):
            if self.beta1_power == 0 and self.beta2_power == 0:
                break
            self.beta1_power *= self.rule.beta1   # the same product as in training, so the same bits
            self.beta2_power *= self.rule.beta2

    @property
    def gradient_norm(self):
        """Mean and maximum of the gradient's norm before clipping; None without clip_norm."""
        if not self.measures:
            return None
        return self.norm_sum / max(self.batch, 1), self.norm_max

    def begin_epoch(self, plan, order=None, dropout_key=0, rates=0.0):
        """Prepare an epoch.

        plan: the updates, see `_batches.plan`; order: the order of samples or None (both contiguous
        int64); rates: one learning rate, or one for each row of the plan (contiguous float64)."""
        self.begin()
        self.rates, self.rates_array = NULL, rates
        if isinstance(rates, np_ndarray):
            if len(rates) != len(plan):
                raise ValueError(f"{len(plan)} updates and {len(rates)} learning rates")
            self.rates = <const double *>pointer(rates)
        else:
            self.learning_rate = rates
        self.order_array, self.plan_array = order, plan
        self.order, self.plan, self.updates = integers(order), integers(plan), len(plan)
        self.dropout.key = self.recurrent_dropout.key = dropout_key
        self.loss_sum = self.loss_weight = self.last_loss = 0
        self.bad_batch = self.batch = 0
        self.ended = False
        self.norm_sum = self.norm_max = 0
        self.set_rate(0)
        self.report.clipped = self.report.poison = 0
        crnn_store(&self.turn, 0)
        with nogil:
            pack_net(&self.net, True, 0, 1)

    cdef void part(self, int thread) noexcept nogil:
        if self.net.at.item == 4:
            self.epoch(thread, <float *>NULL)
        else:
            self.epoch(thread, <double *>NULL)

    def end_epoch(self):
        """-> (mean loss, weighted by valid elements; loss of the last batch; clipped elements; updates;
        the first update that was not finite, or 0)."""
        mean = self.loss_sum / self.loss_weight if self.loss_weight else 0.0
        return mean, self.last_loss, self.report.clipped, self.batch, self.bad_batch

    cdef void epoch(self, int thread, real *of_type) noexcept nogil:
        cdef ptrdiff_t update, first, size, t0, valid, rows, shards, s
        cdef double scale
        cdef bint main = thread == 0, last
        for update in range(self.updates):
            first, size = self.plan[4 * update], self.plan[4 * update + 1]
            t0, valid = self.plan[4 * update + 2], self.plan[4 * update + 3]
            rows = shard_rows(size, self.net.at.H)
            shards = (size + rows - 1) // rows
            scale = 0 if valid == 0 else 1.0 / valid if self.mean else 0.5
            s = self.take()
            while s < shards:
                self.losses[s] = self.shard(
                    &self.desks[thread], s, first, first + s * rows, min(rows, size - s * rows), t0,
                    <real *>self.gradients + s * self.stride, valid > 0, scale, main)
                s = self.take()
            stopped(&self.watch, main, 1000)  # looks for signals; the last thread decides below
            if not self.meet(main, &last):
                return
            if last:
                # A later stop waits for the next batch, so that no update is split.
                self.cancelled = crnn_load(&self.watch.stop) != 0
                if valid > 0 and not self.direct and not self.cancelled:
                    self.begin_step(shards, of_type)
                self.release()
            if self.cancelled:
                return
            if valid > 0 and not self.direct and self.trains:
                self.step_share(shards, thread, self.threads, &self.desks[thread].report, of_type)
            if not self.meet(main, &last):
                return
            if last:
                self.end_update(update, valid, shards)
                self.release()
            if self.bad_batch or self.ended:
                return
            if valid > 0 and self.net.panels != NULL:
                pack_net(&self.net, True, thread, self.threads)
                if not self.meet(main, &last):
                    return
                if last:
                    self.release()

    def halt(self):
        """End the epoch after the current batch. Later epochs end after their first batch. Any thread may
        call this."""
        crnn_store(&self.halted, 1)

    cdef double shard(
        self, Desk *desk, ptrdiff_t number, ptrdiff_t batch_first, ptrdiff_t first, ptrdiff_t rows,
        ptrdiff_t t0, real *g, bint trains, double scale, bint main) noexcept nogil:
        # -> the loss of the shard. Its gradient goes to g, or with `direct` into the weights.
        cdef Layout *at = &self.net.at
        cdef Block *b = &desk.block
        cdef double loss = 0
        self.open(b, first, rows, t0, self.steps)
        begin_states(self, b, g)
        self.carry(b, first - batch_first, False, g)
        if not read_inputs(self, b, 0, b.T, False, main, g):  # `fit` has looked whether all is finite
            return 0
        if run_layers(self, b, main, g):
            return 0
        self.carry(b, first - batch_first, True, g)
        if not trains:
            return 0
        if self.direct:
            g = <real *>self.net.flat
        elif b.rows == 0:
            memset(g, 0, at.tables * sizeof(real))
        loss = self.outputs(desk, scale, main, g)
        if not self.backward(desk, g, main):
            self.sum_outputs(desk, g, main)
            self.add_to_tables(desk, number, main, g)
        return loss

    cdef ptrdiff_t continuing(self, const Block *b) noexcept nogil:
        """Rows that have steps after this block. They are the first rows."""
        cdef ptrdiff_t r = 0
        while r < b.rows and self.length(b.first + r) > b.t0 + b.T:
            r += 1
        return r

    cdef void carry(self, Block *b, ptrdiff_t place, bint out, real *of_type) noexcept nogil:
        """Read the states before this block from `carried`, or write those after it (`out`). `place` is
        the position of the first row in the batch."""
        cdef Layout *at = &self.net.at
        cdef ptrdiff_t l, rows
        cdef real *there
        if self.carried == NULL or not out and b.t0 == 0:
            return
        rows = self.continuing(b) if out else b.rows
        if not out:
            b.given = True
        for l in range(at.L):
            there = <real *>self.carried + (l * self.B + place) * at.lds
            if out:
                memcpy(there, states(b, at, l, b.T, of_type), rows * at.lds * sizeof(real))
            else:
                memcpy(states(b, at, l, 0, of_type), there, rows * at.lds * sizeof(real))

    # ---- the output layer and the loss ----

    cdef inline real *top(self, Desk *desk, ptrdiff_t t, ptrdiff_t *ld, real *of_type) noexcept nogil:
        """The inputs of the output layer at step t. With output="last", t is 0."""
        cdef Layout *at = &self.net.at
        if desk.block.top == NULL:
            ld[0] = at.lds
            return states(&desk.block, at, at.L - 1, t + 1, of_type)
        ld[0] = at.ldj
        return <real *>desk.block.top + t * desk.block.rows * at.ldj

    cdef double outputs(
        self, Desk *desk, double scale, bint main, real *of_type) noexcept nogil:
        """Compute the outputs and the loss. dy replaces the outputs."""
        cdef Layout *at = &self.net.at
        cdef Block *b = &desk.block
        cdef ptrdiff_t t, r, ld, n, skipped
        cdef real *y
        cdef real *h
        cdef double loss = 0
        for r in range(b.rows if desk.weight != NULL else 0):
            desk.weight[r] = self.sample_weight[self.sample(b.first + r)]
        if not self.every:
            skipped = self.continuing(b)
            y = <real *>desk.y
            memset(y, 0, skipped * at.ldo * sizeof(real))
            for r in range(skipped, b.rows):
                t = self.length(b.first + r) - b.t0
                join(<real *>b.top, b, at, t, 0, r, 1, of_type)
            return self.step_loss(desk, 0, y, skipped, b.rows, scale)
        for t in range(b.T):
            n = b.active[t]
            if b.top != NULL:
                join(<real *>b.top + t * b.rows * at.ldj, b, at, t + 1, t, 0, n, of_type)
            loss += self.step_loss(desk, t, <real *>desk.y + t * b.rows * at.ldo, 0, n, scale)
            if stopped(&self.watch, main, n * at.O * at.D * at.H):
                break
        return loss

    cdef double step_loss(
        self, Desk *desk, ptrdiff_t t, real *y, ptrdiff_t r, ptrdiff_t end, double scale) noexcept nogil:
        # rows r to end; y: (rows, ldo) of this step
        cdef Layout *at = &self.net.at
        cdef Block *b = &desk.block
        cdef ptrdiff_t ld
        cdef real *h = self.top(desk, t, &ld, y)
        output(y + r * at.ldo, h + r * ld, ld, &self.net, end - r)
        gather(<real *>desk.target, self.targets, &self.y, self.order, b.first + r, end - r, end - r,
               b.t0 + t if self.every else 0, 1, self.targets, False)
        return losses(
            y + r * at.ldo, at.ldo, <real *>desk.target, self.targets, end - r, at.O, &self.loss,
            desk.weight + r if desk.weight != NULL else NULL, scale)

    cdef void sum_outputs(self, Desk *desk, real *g, bint main) noexcept nogil:
        # dWy' = dy' h    dby = sum_rows dy
        cdef Layout *at = &self.net.at
        cdef Block *b = &desk.block
        cdef ptrdiff_t ld, skipped, t, rows, done = 0, end
        cdef int finish = CRNN_DESCEND if g == <real *>self.net.flat else CRNN_STORE
        cdef real *h = self.top(desk, 0, &ld, g)
        cdef real *y = <real *>desk.y
        cdef real one = 1
        if b.rows == 0:
            return
        if not self.every:
            skipped = self.continuing(b)
            self.sum_rows(g + at.Wy, at.ldj, y + skipped * at.ldo, at.ldo, h + skipped * ld, ld, at.O,
                          at.D * at.H, b.rows - skipped, finish, main)
            if at.bias:
                self.sum_rows(g + at.by, at.ldo, &one, 0, y + skipped * at.ldo, at.ldo, 1, at.O,
                              b.rows - skipped, finish, main)
            return
        while done < b.T:
            end = b.T if self.lengths == NULL else min(b.T, done + self.chunk)
            rows = self.without_holes(desk, &y, at.ldo, &h, ld, done, end, 0)
            self.sum_rows(g + at.Wy, at.ldj, y, at.ldo, h, ld, at.O, at.D * at.H, rows, finish, main)
            if at.bias:
                self.sum_rows(g + at.by, at.ldo, &one, 0, y, at.ldo, 1, at.O, rows, finish, main)
            done, finish = end, CRNN_ADD
            h = self.top(desk, done if done < b.T else 0, &ld, g)
            y = <real *>desk.y + done * b.rows * at.ldo

    # ---- back-propagation through time ----

    cdef inline real *da_of(
        self, Desk *desk, ptrdiff_t c, ptrdiff_t place, real *of_type) noexcept nogil:
        return <real *>desk.da + (c * (self.da_steps + 1) + place) * desk.block.step

    cdef bint backward(self, Desk *desk, real *g, bint main) noexcept nogil:
        """The gradients of all cells: windows of `da_steps` steps from the end, and in a window the last
        layer first. -> whether to stop."""
        cdef Layout *at = &self.net.at
        cdef Block *b = &desk.block
        cdef ptrdiff_t end = b.T, begin, l, d, c, part, stop
        cdef int finish
        if self.shifted:
            # at step t the notebook uses the states before steps t and t - 1, and at t = 0 the last state
            memcpy(states(b, at, 0, 0, g) - b.rows * at.lds, states(b, at, 0, b.T, g),
                   b.rows * at.lds * sizeof(real))
        while end > 0:
            begin = max(0, end - self.da_steps)
            for l in range(at.L - 1, -1, -1):
                for d in range(at.D):
                    c = l * at.D + d
                    if end < b.T:   # da of step `end`, from the window after this one
                        memcpy(self.da_of(desk, c, end - begin, g), self.da_of(desk, c, 0, g),
                               b.rows * at.lds * sizeof(real))
                    finish = CRNN_DESCEND if g == <real *>self.net.flat else (
                        CRNN_STORE if end == b.T else CRNN_ADD)
                    part = 0
                    while part < end - begin:
                        stop = min(part + self.chunk, end - begin)
                        if self.backward_steps(
                                desk, g, c, begin,
                                begin + part if d else end - stop, begin + stop if d else end - part,
                                finish, main):
                            return True
                        part = stop
                        if finish == CRNN_STORE:
                            finish = CRNN_ADD
            end = begin
        return False

    cdef bint backward_steps(
        self, Desk *desk, real *g, ptrdiff_t c, ptrdiff_t window, ptrdiff_t begin, ptrdiff_t end,
        int finish, bint main) noexcept nogil:
        """Run steps [begin, end) of a cell backward, then add to its gradients. -> whether to stop."""
        cdef Layout *at = &self.net.at
        cdef Block *b = &desk.block
        cdef Cell *own = &at.cells[c]
        cdef ptrdiff_t i, t, s, rows, d = own.d, step = b.rows * at.lds
        cdef real *da = self.da_of(desk, c, begin - window, g)
        cdef real *da_rows
        cdef real *a
        cdef real one = 1
        for i in range(end - begin):
            if self.backward_step(desk, c, begin + i if d else end - 1 - i, window, main, g):
                return True
        # dWh += h_{t-1}' da_t, without the zero state
        t = end - 1 if d else begin
        i = 0 if self.shifted or rows_with_before(b, d, t) else 1
        da_rows = da if d else da + i * step
        a = state_before(b, at, c, begin if d else begin + i, g) - (step if self.shifted else 0)
        rows = self.without_holes(desk, &a, at.lds, &da_rows, at.lds,
                                  begin if d else begin + i, end - i if d else end,
                                  1 if d and not b.given else 0)
        self.sum_rows(g + own.Wh, at.ldh, a, at.lds, da_rows, at.lds, at.H, at.H, rows, finish, main)
        # dWx += x_t' da_t, with db in its last row
        if own.l == 0 and not at.tokens:
            a, da_rows = <real *>b.x + begin * b.rows * self.ldx, da
            rows = self.without_holes(desk, &a, self.ldx, &da_rows, at.lds, begin, end, 0)
            self.sum_rows(g + own.Wx, at.ldh, a, self.ldx, da_rows, at.lds, self.ldx, at.H, rows,
                          finish, main)
            return False
        for s in range(at.D if own.l > 0 else 0):
            a, da_rows = seen(b, at, (own.l - 1) * at.D + s, begin, g), da
            rows = self.without_holes(desk, &a, at.lds, &da_rows, at.lds, begin, end, 0)
            self.sum_rows(g + own.Wx + s * at.H * at.ldh, at.ldh, a, at.lds, da_rows, at.lds, at.H,
                          at.H, rows, finish, main)
        if at.bias:
            a, da_rows = NULL, da
            rows = self.without_holes(desk, &a, 0, &da_rows, at.lds, begin, end, 0)
            self.sum_rows(g + own.b, at.ldh, &one, 0, da_rows, at.lds, 1, at.H, rows, finish, main)
        return False

    cdef bint backward_step(
        self, Desk *desk, ptrdiff_t c, ptrdiff_t t, ptrdiff_t window, bint main, real *of_type) noexcept nogil:
        """da_t = dh_t * (1 - h_t^2), in pieces of rows with checks for signals. -> whether to stop."""
        cdef Layout *at = &self.net.at
        cdef Block *b = &desk.block
        cdef Cell *own = &at.cells[c]
        cdef ptrdiff_t n = b.active[t], m = rows_with_after(b, own.d, t), r = 0, piece
        while r < n:
            piece = min(own.rows_back, (m if r < m else n) - r)
            self.cell_backward(desk, c, t, window, r, piece, r < m, of_type)
            if stopped(&self.watch, main, piece * own.work_back):
                return True
            r += piece
        return False

    cdef void cell_backward(
        self, Desk *desk, ptrdiff_t c, ptrdiff_t t, ptrdiff_t window, ptrdiff_t r, ptrdiff_t rows,
        bint goes_on, real *of_type) noexcept nogil:
        """dh_t = dy_t Wy' in the last layer, else da_t Wx' of the layer above; dh_t += da_{t+1} Wh' if the
        rows have another step (`goes_on`); da_t = dh_t * (1 - h_t^2)."""
        cdef Layout *at = &self.net.at
        cdef Block *b = &desk.block
        cdef Cell *own = &at.cells[c]
        cdef Cell *above
        cdef ptrdiff_t d = own.d, s, first = r * at.lds, place = t - window
        cdef real *da = self.da_of(desk, c, place, of_type) + first
        cdef const real *next = da + (-b.step if d else b.step)
        cdef const real *after = states(b, at, c, t + 1 - d, of_type) + first
        cdef const real *panels = <const real *>self.net.panels
        cdef const real *dy
        cdef const real *init = <const real *>self.net.zero
        cdef ptrdiff_t ldi = 0
        cdef bint is_last = own.l == at.L - 1
        cdef crnn_term[CRNN_TERMS] terms
        cdef int n_terms = 0
        if self.shifted:
            after -= b.step
        if panels == NULL and goes_on:
            row_product_transposed(da, next, <const real *>self.net.flat + own.Wh, at.ldh, at.slope,
                                   after, at.H, at.H, t & 1)
            return
        dy = <const real *>desk.y + ((t if self.every else 0) * b.rows + r) * at.ldo
        if panels == NULL:
            terms[0] = crnn_term(dy, at.ldo, <const real *>self.net.flat + at.Wy, at.ldj, at.O)
            row_product(da, init, terms, 1, at.slope, after, at.H, 0)
            return
        if goes_on:
            terms[n_terms] = crnn_term(next, at.lds, panels + own.pWh_t, at.H, at.H)
            n_terms += 1
            if b.before != NULL:
                self.through_mask(desk, terms, n_terms, NULL, c, r, rows, RECURRENT, 0, of_type)
                init, ldi, n_terms = <const real *>desk.masked, at.lds, 0
        if is_last and (self.every or not goes_on):
            terms[n_terms] = crnn_term(dy, at.ldo, panels + at.pWy_t + d * at.O * at.packed_h, at.O, at.O)
            n_terms += 1
        if not is_last:
            for s in range(at.D):
                above = &at.cells[c - d + at.D + s]
                terms[n_terms + s] = crnn_term(
                    self.da_of(desk, c - d + at.D + s, place, of_type) + first, at.lds,
                    panels + above.pWx_t + d * at.H * at.packed_h, at.H, at.H)
            if b.dropped != NULL:
                self.through_mask(desk, terms + n_terms, <int>at.D, init if ldi else NULL, c, r, rows,
                                  BETWEEN, b.t0 + t, of_type)
                init, ldi = <const real *>desk.masked, at.lds
            else:
                n_terms += <int>at.D
        product(da, at.lds, init, ldi, terms, n_terms, at.slope, after, at.lds, rows, at.H)

    cdef void through_mask(
        self, Desk *desk, const crnn_term *terms, int n_terms, const real *more, ptrdiff_t c,
        ptrdiff_t r, ptrdiff_t rows, int kind, ptrdiff_t step, real *of_type) noexcept nogil:
        """masked = (sum of terms) * mask + more: the gradient through dropout."""
        cdef Layout *at = &self.net.at
        cdef Block *b = &desk.block
        cdef real *masked = <real *>desk.masked
        cdef real *sums = masked + b.rows * at.lds
        cdef ptrdiff_t i, j
        product(sums, at.lds, <const real *>self.net.zero, 0, terms, n_terms, CRNN_LINEAR,
                <const real *>NULL, 0, rows, at.H)
        drop_rows(self, sums, sums, b, r, rows, c, kind, step)
        for i in range(rows):
            for j in range(at.H):
                masked[i * at.lds + j] = sums[i * at.lds + j] + (
                    more[i * at.lds + j] if more != NULL else 0)

    # ---- sums over steps and rows ----

    cdef ptrdiff_t without_holes(
        self, Desk *desk, real **a, ptrdiff_t lda, real **b_, ptrdiff_t ldb,
        ptrdiff_t begin, ptrdiff_t end, ptrdiff_t behind) noexcept nogil:
        """-> the number of rows in steps [begin, end). If rows end inside, copy the remaining ones together
        and let a (unless NULL) and b_ point at the copies. They point at step `begin` before. With
        `behind` = 1 only rows that have one more step count."""
        cdef Block *b = &desk.block
        cdef ptrdiff_t t, r, count = 0
        cdef real *a_rows = <real *>desk.a_rows
        cdef real *b_rows = <real *>desk.b_rows
        if end <= begin or b.active[end - 1 + behind] == b.rows:
            return max(0, end - begin) * b.rows
        for t in range(begin, end):
            for r in range(b.active[t + behind]):
                if a[0] != NULL:
                    memcpy(a_rows + count * lda, a[0] + ((t - begin) * b.rows + r) * lda,
                           lda * sizeof(real))
                memcpy(b_rows + count * ldb, b_[0] + ((t - begin) * b.rows + r) * ldb,
                       ldb * sizeof(real))
                count += 1
        if a[0] != NULL:
            a[0] = a_rows
        b_[0] = b_rows
        return count

    cdef void sum_rows(
        self, real *c, ptrdiff_t ldc, const real *a, ptrdiff_t lda, const real *b, ptrdiff_t ldb,
        ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int finish, bint main) noexcept nogil:
        """c += a' b over k rows, in pieces with checks for signals. The pieces depend on shapes alone."""
        cdef ptrdiff_t done = 0, piece
        while True:
            # an update is never interrupted
            piece = k if finish == CRNN_DESCEND else min(
                k - done, min(2048, max(128, PIECE_WORK // (m * n))))
            accumulate(c, ldc, a + done * lda, lda, b + done * ldb, ldb, m, n, piece,
                       finish, self.learning_rate, self.rule.clip, &self.report)
            done += piece
            if done == k or stopped(&self.watch, main, piece * m * n):
                return
            finish = CRNN_ADD

    cdef void add_to_tables(
        self, Desk *desk, ptrdiff_t number, bint main, real *of_type) noexcept nogil:
        """dWx[token] += da_t, one shard after the other, so that the order of sums is fixed."""
        cdef Layout *at = &self.net.at
        cdef Block *b = &desk.block
        cdef const real *tokens = <const real *>b.x
        cdef const real *da
        cdef real *row
        cdef ptrdiff_t t, r, j, d, token
        cdef int spins = 0
        if not at.tokens:
            return
        while crnn_load(&self.turn) != number:
            rest(&spins)
            if stopped(&self.watch, main, 1e6):
                return
        for d in range(at.D):
            for t in range(b.T):
                for r in range(b.active[t]):
                    token = <ptrdiff_t>tokens[t * b.rows + r]
                    if not 0 <= token < at.I:
                        token = 0   # as in `embed`
                    row = <real *>self.table + (at.cells[d].Wx - at.tables) + token * at.ldh
                    da = self.da_of(desk, d, t, of_type) + r * at.lds
                    for j in range(at.ldh):
                        row[j] += da[j]
                if stopped(&self.watch, main, b.active[t] * at.H):
                    return
        crnn_store(&self.turn, number + 1)

    # ---- the update ----

    cdef void end_update(self, ptrdiff_t update, ptrdiff_t valid, ptrdiff_t shards) noexcept nogil:
        """Note the loss of a batch and whether anything was not finite; prepare the next batch."""
        cdef double loss = 0
        cdef ptrdiff_t s
        cdef int i
        if valid > 0:
            for s in range(shards):
                loss += self.losses[s]
            self.batch += 1
            self.last_loss = loss
            self.loss_sum += loss * valid
            self.loss_weight += valid
            for i in range(self.threads):
                add_report(&self.report, &self.desks[i].report)
            # the notebook, whose loss is not a mean, continues
            if self.mean and (not isfinite(loss) or self.report.poison != 0):
                self.bad_batch = self.batch
        self.set_rate(update + 1)
        crnn_store(&self.turn, 0)
        self.ended = crnn_load(&self.halted) != 0

    cdef void set_rate(self, ptrdiff_t update) noexcept nogil:
        if self.rates != NULL and update < self.updates:
            self.learning_rate = self.rates[update]

    cdef void begin_step(self, ptrdiff_t shards, real *of_type) noexcept nogil:
        """Compute what all elements of an update share: rate, correction, and with `clip_norm` the scale,
        for which the shards are summed."""
        cdef Layout *at = &self.net.at
        cdef crnn_rule *rule = &self.rule
        cdef real *g = <real *>self.gradients
        cdef double squares
        if self.measures or not self.trains:
            # row by row, because the padding of rows depends on the instruction set
            squares = sum_shards(g, self.stride, shards, at.Wy // at.ldh, at.H, at.ldh)
            squares += sum_shards(g + at.Wy, self.stride, shards, at.O, at.D * at.H, at.ldj)
            squares += sum_shards(g + at.by, self.stride, shards, at.bias, at.O, at.ldo)
            if not self.trains:
                return
            self.clip_by_norm(sqrt(squares + sum_shards(
                <real *>self.table, 0, 1, (at.count - at.tables) // at.ldh, at.H, at.ldh)))
        self.step += 1
        self.beta1_power *= rule.beta1
        self.beta2_power *= rule.beta2
        rule.rate = self.learning_rate
        if rule.kind == CRNN_ADAMW:
            rule.decay = self.learning_rate * self.weight_decay
        if rule.kind >= CRNN_ADAM:
            rule.rate = self.learning_rate / (1 - self.beta1_power)
            rule.correction = sqrt(1 - self.beta2_power)

    cdef void step_share(
        self, ptrdiff_t shards, ptrdiff_t thread, ptrdiff_t threads, crnn_report *report,
        real *of_type) noexcept nogil:
        """Update one thread's share of the parameters along the sum of the shards' gradients."""
        cdef Layout *at = &self.net.at
        if self.measures:   # the first shard's gradient holds the sum
            shards = 1
        self.step_range(<real *>self.gradients, 0, at.tables, shards, thread, threads, report)
        if at.tokens:
            self.step_range(<real *>self.table, at.tables, at.count - at.tables, 1, thread, threads,
                            report)

    cdef void step_range(
        self, real *g, ptrdiff_t first, ptrdiff_t count, ptrdiff_t shards, ptrdiff_t thread,
        ptrdiff_t threads, crnn_report *report) noexcept nogil:
        """Update one thread's share of `count` parameters from `first` on. g is their gradient."""
        cdef ptrdiff_t line = CRNN_ROW_BYTES // self.net.at.item
        cdef ptrdiff_t begin = count * thread // threads // line * line
        cdef ptrdiff_t end = count if thread == threads - 1 else (
            count * (thread + 1) // threads // line * line)
        cdef real *w = <real *>self.net.flat + first + begin
        cdef real *m = NULL if self.m == NULL else <real *>self.m + first + begin
        cdef real *v = NULL if self.v == NULL else <real *>self.v + first + begin
        update(w, m, v, g + begin, self.stride, shards, end - begin, &self.rule, report)
        if first > 0:   # shards add to the table of the next batch
            memset(g + begin, 0, (end - begin) * sizeof(real))

    cdef void clip_by_norm(self, double norm) noexcept nogil:
        """scale = min(1, clip_norm / (norm + 1e-6)), as in PyTorch."""
        self.norm_sum += norm
        self.norm_max = max(self.norm_max, norm)
        self.rule.scale = 1
        if not isfinite(norm):
            self.report.poison = NAN   # a scale of 0 would hide an infinite norm
        elif self.clip_norm < INFINITY:
            self.rule.scale = min(1.0, self.clip_norm / (norm + 1e-6))
