"""Threads at one piece of work: signals, a counter, a meeting. Part of `_cell.pyx`."""

cdef struct Watch:
    crnn_atomic stop      # somebody asked everybody to stop
    double looked         # when the main thread last looked
    double work           # multiply-adds since it last looked at the clock
    void *owner           # the object whose `error` keeps what a signal's handler raised


cdef inline bint stopped(Watch *watch, bint main, double work) noexcept nogil:
    """Whether to stop; the main thread looks at signals about every 20 ms."""
    if main:
        watch.work += work
        if watch.work > 1e6:  # 10 to 1000 microseconds; a clock's reading takes 0.03
            watch.work = 0
            if crnn_seconds() - watch.looked > 0.02:
                look_at_signals(watch)
    return crnn_load(&watch.stop) != 0


cdef void look_at_signals(Watch *watch) noexcept with gil:
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<Team>watch.owner).error = error
        crnn_store(&watch.stop, 1)
    watch.looked = crnn_seconds()


cdef class Team:
    """What threads at one piece of work share: how many, a counter of work, a meeting, a stop."""

    cdef Watch watch
    cdef readonly int threads
    cdef object error
    cdef crnn_atomic taken, arrived, generation

    def __init__(self, int threads):
        self.threads = threads
        self.watch.owner = <void *>self

    def stop(self):
        """Ask every thread to return at its next timestep."""
        crnn_store(&self.watch.stop, 1)

    cdef int begin(self) except -1:
        self.error = None
        self.watch.looked = crnn_seconds()
        self.watch.work = 0
        crnn_store(&self.watch.stop, 0)
        crnn_store(&self.taken, 0)
        crnn_store(&self.arrived, 0)
        return 0

    cdef int finish(self) except -1:
        if self.error is not None:
            raise self.error
        return 0

    cdef inline ptrdiff_t take(self) noexcept nogil:
        return crnn_fetch_add(&self.taken, 1)

    cdef inline bint last_to_arrive(self) noexcept nogil:
        return crnn_fetch_add(&self.arrived, 1) == self.threads - 1

    cdef inline void let_go(self) noexcept nogil:
        crnn_store(&self.arrived, 0)
        crnn_store(&self.taken, 0)
        crnn_fetch_add(&self.generation, 1)

    cdef bint wait(self, long generation, bint main) noexcept nogil:
        """Until the last to arrive lets the others go; False when stopped instead."""
        cdef int spins = 0
        while crnn_load(&self.generation) == generation:
            if spins < 4000:  # some 0.1 ms
                spins += 1
                crnn_pause()
                if crnn_load(&self.watch.stop):
                    return False
            else:
                crnn_sleep()
                if stopped(&self.watch, main, 1e6):
                    return False
        return True


