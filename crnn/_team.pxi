"""Threads: what they share, how they start and how they end. Part of `_cell.pyx`."""

cdef extern from "pythread.h":
    unsigned long PyThread_start_new_thread(void (*)(void *) noexcept nogil, void *)


cdef struct Watch:
    crnn_atomic stop      # all threads have to stop
    bint signals          # the caller is Python's main thread, which handles signals
    double looked         # when the main thread last checked
    double work           # multiply-adds since it last read the clock
    void *owner           # the Team whose `error` keeps the exception of a signal handler


cdef inline bint stopped(Watch *watch, bint main, double work) noexcept nogil:
    """Whether to stop. Python's main thread checks for signals about every 20 ms."""
    if main and watch.signals:  # other threads never take the GIL: the interpreter may have ended
        watch.work += work
        if watch.work > 1e6:  # 10 to 1000 us; reading the clock takes 0.03 us
            watch.work = 0
            if crnn_seconds() - watch.looked > 0.02:
                look_at_signals(watch)
    return crnn_load(&watch.stop) != 0


cdef inline bint rest(int *spins) noexcept nogil:
    """Wait a moment: spin during the first 0.1 ms, then sleep (returns True)."""
    if spins[0] < 4000:
        spins[0] += 1
        crnn_pause()
        return False
    crnn_sleep()
    return True


cdef int check_process(long process) except -1:
    """Fail in a forked child: a signal handler may have forked."""
    if crnn_process() != process:
        raise RuntimeError(
            "this process was forked during a call of crnn and has none of the call's threads")
    return 0


cdef void look_at_signals(Watch *watch) noexcept with gil:
    try:
        PyErr_CheckSignals()
        if (<Team>watch.owner).threads > 1 and (<Team>watch.owner).error is None:
            check_process((<Team>watch.owner).process)
    except BaseException as error:
        (<Team>watch.owner).keep_error(error)
        crnn_store(&watch.stop, 1)
    watch.looked = crnn_seconds()


cdef class Team:
    """What the threads of a job share: a counter of work, a barrier and a stop flag."""

    cdef Watch watch
    cdef readonly int threads
    cdef long process  # the process that started the threads
    cdef object error
    cdef crnn_atomic taken, arrived, generation

    def __init__(self, int threads):
        self.threads = threads
        self.watch.owner = <void *>self

    cdef int begin(self) except -1:
        self.error = None
        self.watch.signals = threading.get_ident() == threading.main_thread().ident
        self.watch.looked = crnn_seconds()
        self.watch.work = 0
        crnn_store(&self.watch.stop, 0)
        crnn_store(&self.taken, 0)
        crnn_store(&self.arrived, 0)
        return 0

    cdef int keep_error(self, error) except -1:
        """Keep an exception. As in Python, an earlier one becomes its context."""
        last = error
        while last is not self.error and last.__context__ is not None:
            last = last.__context__
        if last is not self.error:
            last.__context__ = self.error
        self.error = error
        return 0

    cdef int finish(self) except -1:
        if self.error is None:
            return 0
        # With the limited API, Cython runs Python code while an exception propagates. A pending signal
        # would raise there and be lost, so handle it before.
        look_at_signals(&self.watch)
        error, self.error = self.error, None
        raise error

    cdef void part(self, int thread) noexcept nogil:
        """One thread's part of the work; thread 0 is the caller."""

    cdef inline ptrdiff_t take(self) noexcept nogil:
        return crnn_fetch_add(&self.taken, 1)

    cdef bint meet(self, bint main, bint *last) noexcept nogil:
        """Wait for all threads, stopped or not: what follows needs every thread's share. The last
        thread does not wait. The others wait until it calls `release`. False in a forked child, where
        nobody else comes."""
        cdef long generation = crnn_load(&self.generation)
        last[0] = crnn_fetch_add(&self.arrived, 1) == self.threads - 1
        return last[0] or self.wait(generation, main)

    cdef inline void release(self) noexcept nogil:
        crnn_store(&self.arrived, 0)
        crnn_store(&self.taken, 0)
        crnn_fetch_add(&self.generation, 1)

    cdef bint wait(self, long generation, bint main) noexcept nogil:
        """Wait until the last thread calls `release`, and handle signals meanwhile."""
        cdef int spins = 0
        cdef bint slept
        while crnn_load(&self.generation) == generation:
            slept = rest(&spins)
            if stopped(&self.watch, main and slept, 1e6) and slept and crnn_process() != self.process:
                return False
        return True


@cython.auto_pickle(False)
cdef class Crew:
    """Threads for one fit or predict, started by the first `run` and ended on exit.

    Thread 0 is the caller. The others run only compiled code and have no Python thread state. So they
    allocate nothing, raise nothing and never handle signals.
    """

    cdef readonly int threads
    cdef readonly int started   # without the caller
    cdef long process
    cdef Team team
    cdef crnn_atomic numbers    # thread numbers that are taken
    cdef crnn_atomic given      # how many jobs were given
    cdef crnn_atomic done       # how many threads have done their part of the last job
    cdef crnn_atomic dismissed, gone

    def __init__(self, int threads):
        self.threads = threads

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with nogil:
            self.dismiss()

    def __dealloc__(self):
        self.dismiss()

    def run(self, Team team not None):
        """Do the team's work. Return when all threads have finished or stopped.

        Raises what a signal handler raised during the work.
        """
        cdef int spins = 0
        if team.threads != self.threads:
            raise ValueError(f"team must have {self.threads} threads, got {team.threads}")
        self.start()
        team.process = self.process
        self.team = team
        crnn_store(&self.done, 0)
        crnn_fetch_add(&self.given, 1)
        with nogil:
            team.part(0)
            while crnn_load(&self.done) < self.started:
                if rest(&spins):
                    stopped(&team.watch, True, 1e6)
                    if crnn_process() != self.process:
                        break
        team.finish()

    cdef int start(self) except -1:
        if self.started:
            check_process(self.process)
        else:
            self.process = crnn_process()
        while self.started < self.threads - 1:
            if PyThread_start_new_thread(attend, <void *>self) == <unsigned long>-1:
                raise MemoryError(
                    f"the system cannot start {self.threads - 1} more threads; threads=1 needs none")
            self.started += 1
        return 0

    cdef void attend(self) noexcept nogil:
        """The loop of a thread, until it is dismissed."""
        cdef int number = <int>crnn_fetch_add(&self.numbers, 1) + 1, spins = 0
        cdef long taken = 0
        while True:
            if crnn_load(&self.given) != taken:
                taken += 1
                self.team.part(number)
                crnn_fetch_add(&self.done, 1)
                spins = 0
            elif crnn_load(&self.dismissed):
                crnn_fetch_add(&self.gone, 1)  # the Crew may be freed from here on
                return
            else:
                rest(&spins)

    cdef void dismiss(self) noexcept nogil:
        # A signal does not end this wait, which takes at most 0.1 ms. A forked child has no threads.
        cdef int spins = 0
        crnn_store(&self.dismissed, 1)
        while crnn_load(&self.gone) < self.started and crnn_process() == self.process:
            rest(&spins)


cdef void attend(void *crew) noexcept nogil:
    (<Crew>crew).attend()


