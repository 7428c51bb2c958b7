"""Misuse by callers: no crash, no wrong result, no silent error."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

import children
import numpy as np
import pytest
from faults.measuring import running_threads, threads_left
from networks import bits
from tolerances import ADAM_STEP, NOTEBOOK, relative_error

import crnn
from crnn import RNN, Forecaster, Stream, Trainer, _cell, _threads, notebook, storage
from crnn._samples import Samples


@pytest.mark.parametrize(
    ("name", "value"),
    [("input_size", 2), ("hidden_size", 9), ("output_size", 1), ("bias", False), ("dtype", "f8")],
)
def test_what_a_network_is_cannot_be_set(name: str, value: object) -> None:
    model = RNN(1, 2, 8, seed=0)
    with pytest.raises(AttributeError, match=name):
        setattr(model, name, value)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("batch_size", 0, ValueError),
        ("optimizer", "rms", ValueError),
        ("epochs", 1.5, TypeError),
        ("clip_value", -1.0, ValueError),
    ],
)
def test_a_trainers_attributes_are_checked_when_it_is_used(
    name: str, value: object, error: type[Exception]
) -> None:
    trainer = Trainer(epochs=1)
    setattr(trainer, name, value)
    with pytest.raises(error, match=name):
        trainer.fit(RNN(1, 2, 1, seed=0), np.ones((3, 2)), np.ones(3))


@pytest.mark.parametrize("name", ["learning_rate", "clip_value"])
def test_a_rate_that_is_zero_in_the_models_type_is_refused(name: str) -> None:
    model = RNN(1, 2, 1, seed=0)
    with pytest.raises(ValueError, match=name):
        Trainer(epochs=1, **{name: 1e-50}).fit(model, np.ones((3, 2)), np.ones(3))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_subnormal_rate_is_allowed(optimizer: str) -> None:
    # b and by start at zero, so a step of any size changes them
    smallest = float(np.finfo(np.float32).smallest_subnormal)
    x, y = np.ones((3, 2)), np.full(3, 9.0)
    for settings in (
        {"learning_rate": 1e-40, "clip_value": None},
        {"learning_rate": smallest, "clip_value": None},
        {"learning_rate": 1.0, "clip_value": 1e-40},
    ):
        model = RNN(1, 2, 1, seed=0)
        Trainer(epochs=1, optimizer=optimizer, **settings).fit(model, x, y)
        step = float(model.parameters()["by"][0])
        if settings["clip_value"] is None:
            assert 0.0 < step < 1e-38
        elif optimizer == "sgd":
            assert step == np.float32(1e-40)
        else:  # so small a gradient is divided only by eps, 1e-8
            assert abs(step) < 1e-30


@pytest.mark.parametrize("name", ["learning_rate", "clip_value"])
def test_what_the_models_type_rounds_to_zero_is_refused(name: str) -> None:
    half = float(np.finfo(np.float32).smallest_subnormal) / 2
    with pytest.raises(ValueError, match=name):
        Trainer(epochs=1, **{name: half}).fit(RNN(1, 2, 1, seed=0), np.ones((3, 2)), np.ones(3))


def test_a_batch_size_beyond_every_integer_is_the_whole_data() -> None:
    x, y = np.ones((5, 3)), np.ones(5)
    models = [RNN(1, 4, 1, seed=0) for _ in range(2)]
    for model, size in zip(models, (10**30, 5), strict=True):
        Trainer(epochs=2, batch_size=size, seed=0).fit(model, x, y)
    assert (models[0].predict(x) == models[1].predict(x)).all()


@pytest.mark.parametrize("hidden_size", [10**7, 10**9, 10**18, 2**62])
def test_sizes_beyond_any_memory_are_a_memory_error(hidden_size: int) -> None:
    # at least 400 TB: some systems grant smaller requests without having the memory
    with pytest.raises(MemoryError):
        RNN(1, hidden_size, 1)


def test_a_stream_is_made_from_weights() -> None:
    with pytest.raises(TypeError):
        Stream(None, 1)
    with pytest.raises(TypeError):
        Stream.__new__(Stream)


def test_predictions_need_arrays_that_fit() -> None:
    weights = _cell.Weights(1, 2, 3, True, np.float32)
    for shape, dtype in (((5, 2), "f4"), ((4, 3), "f4"), ((5, 3), "f8")):
        with pytest.raises(ValueError, match="wanted"):
            _cell.Prediction(weights, Samples(np.zeros((5, 2, 1))), 1, y=np.zeros(shape, dtype))


def test_an_input_that_steps_the_same_stream_is_a_step_before_it() -> None:
    model = RNN(1, 4, 1, dtype="float64", seed=0)
    stream, other = model.stream(), model.stream()

    class Nested:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            stream.step(0.5)
            return np.array([[0.25]])

    stream.step(Nested())
    other.step(0.5)
    other.step(0.25)
    assert (stream.state == other.state).all()


def test_the_notebooks_arrays_may_be_replaced_by_fitting_ones_only() -> None:
    x, y = notebook.dataset(60, 5)
    np.random.seed(0)
    rnn = notebook.RNN(x, y, 4)
    rnn.y = y[:1].copy()
    with pytest.raises(ValueError, match="y must have as many samples"):
        rnn.train(1, 1e-2)
    rnn.x, rnn.y = x[:, :, 0], y.tolist()
    rnn.train(1, 1e-2, verbose=0)


def test_the_notebook_continues_after_an_infinite_loss(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = notebook.dataset(40, 5)
    y[5] = 1e200
    np.random.seed(0)
    rnn = notebook.RNN(x, y, 4)
    np.random.seed(0)
    plain = notebook.RNN(x, y, 4)
    plain.lr = 1e-2
    with np.errstate(over="ignore"):
        rnn.train(2, 1e-2)
        for _ in range(2):
            for sample in range(len(x)):
                plain.forward(sample)
                plain.backward()
    for name in ("Wx", "Wh", "Wy"):
        assert relative_error(getattr(rnn, name), getattr(plain, name)) < NOTEBOOK, name


def test_adams_first_step_is_the_learning_rate() -> None:
    # m / (1 - beta1) = g and v / (1 - beta2) = g^2, so the step is lr g / (|g| + eps)
    model, x, y = RNN(1, 3, 1, seed=0), np.ones((4, 2)), np.ones(4)
    before, (_, gradients) = model.state_dict(), model.gradients(x, y)
    Trainer(epochs=1, optimizer="adam", learning_rate=0.5).fit(model, x, y)
    for name, array in model.state_dict().items():
        steps = np.abs(array.astype(float) - before[name])
        size = np.abs(gradients[name].astype(float))
        assert np.abs(steps - 0.5 * size / (size + 1e-8)).max() < ADAM_STEP, name


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_of_a_network_keep_its_attributes(copied: object) -> None:
    model = RNN(2, 3, 1, seed=0)
    model.note = "kept"  # type: ignore[attr-defined]
    other = copied(model)  # type: ignore[operator]
    assert other.note == "kept"
    assert repr(other) == repr(model)
    other.parameters()["Wy"][:] = 0
    assert model.parameters()["Wy"].any()


def test_a_forecasters_settings_hold_for_the_next_fit() -> None:
    series = np.sin(np.arange(60.0))
    forecaster = Forecaster(timesteps=5, hidden_size=4, epochs=2, seed=0).fit(series)
    forecaster.timesteps, forecaster.epochs = 7, 3
    assert forecaster.forecast(2).shape == (2,)
    assert len(forecaster.fit(series).history_.loss) == 3
    assert forecaster.predict(series).shape == (53,)


def test_a_file_whose_dtype_is_no_name(tmp_path: Path) -> None:
    model = RNN(1, 2, 1, seed=0)
    hostile = {"names": ["a"], "formats": ["f4"], "offsets": [10**30]}
    settings = {**model._settings(), "dtype": hostile}
    storage.write(tmp_path / "m", "network", model.state_dict(), settings)
    with pytest.raises(ValueError, match="dtype"):
        RNN.load(tmp_path / "m")


def test_an_infinite_loss_is_no_warning() -> None:
    model = RNN(1, 2, 1, dtype="float64", seed=0)
    assert model.loss(np.ones((2, 2)), np.full(2, 1e200)) == np.inf


@pytest.mark.parametrize(("point", "sample"), [(0, 0), (3, 0), (20, 16), (29, 25)])
def test_the_first_window_with_a_nan_is_named(point: int, sample: int) -> None:
    series = np.arange(31.0)
    series[point] = np.nan
    x, _ = crnn.dataset.windows(series, 5)
    with pytest.raises(ValueError, match=rf"sample {sample}$"):
        Trainer().fit(RNN(1, 2, 1, seed=0), x, np.zeros(len(x)))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no interval timer")
@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
@pytest.mark.parametrize("alarms", [1, 3])
def test_alarms_at_any_moment_of_a_threaded_fit_are_answered(
    alarms: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The fit never ends by itself, so the alarm comes while it runs on any machine: from before its
    # threads start to a few epochs later.
    monkeypatch.setattr(_threads, "WORK_PER_THREAD", 1)
    model, x, y = RNN(1, 16, 1, seed=0), np.ones((320, 10)), np.ones(320)
    trainer = Trainer(epochs=10**9, batch_size=160, threads=3, seed=0)
    before = running_threads() if sys.platform == "linux" else 0
    left, first, raised, caught, turns = 0, 0.0, 0, 0, 200
    choose = _threads.choose

    def choose_and_set_the_alarm(*arguments: Any) -> int:
        # a single alarm must not repeat: a second could come before the handler stops the timer
        signal.setitimer(signal.ITIMER_REAL, first, 5e-5 if alarms > 1 else 0)
        return choose(*arguments)

    def answer(number: int, frame: FrameType | None) -> None:
        nonlocal left, raised
        left -= 1
        if left <= 0:  # a last resort: if this one is lost, the fit never ends
            signal.setitimer(signal.ITIMER_REAL, 10.0, 10.0)
        while frame is not None and frame.f_code is not Trainer.fit.__code__:
            frame = frame.f_back
        if frame is not None:  # within fit, not in this test
            raised += 1
            raise error

    monkeypatch.setattr(_threads, "choose", choose_and_set_the_alarm)
    previous = signal.signal(signal.SIGALRM, answer)
    gc.disable()  # hypothesis hooks the collector, which loses exceptions
    try:
        for turn in range(turns):
            left, first = alarms, 1e-5 + 2e-5 * turn
            try:
                trainer.fit(model, x, y)
            except error:
                caught += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        monkeypatch.setattr(_threads, "choose", choose)
        gc.enable()
    assert caught == turns
    if alarms == 1:
        assert raised == turns  # none was lost or became another error
    if sys.platform == "linux":
        assert threads_left(before) == 0
    assert np.isfinite(model.predict(x)).all()


def test_ctrl_c_at_every_line_of_a_threaded_fit_leaves_whole_epochs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_threads, "WORK_PER_THREAD", 1)
    package, x, y = str(Path(crnn.__file__).parent), np.ones((32, 5)), np.ones(32)
    trainer = Trainer(epochs=2, batch_size=16, threads=3, seed=0)
    threads_before = running_threads() if sys.platform == "linux" else 0
    whole = []
    for epochs in (1, 2):
        model = RNN(1, 16, 1, seed=0)
        whole.append(bits(model))
        Trainer(epochs=epochs, batch_size=16, threads=1, seed=0).fit(model, x, y)
        whole.append(bits(model))

    def fit(interrupted_at: int) -> int:
        """How many lines of the package a fit runs; Ctrl-C before the line of this number."""
        lines = 0

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal lines
            if not frame.f_code.co_filename.startswith(package):
                return None
            if event == "line":
                lines += 1
                if lines == interrupted_at:
                    signal.raise_signal(signal.SIGINT)
            return trace

        model, tracing = RNN(1, 16, 1, seed=0), sys.gettrace()
        sys.settrace(trace)
        try:
            trainer.fit(model, x, y)
        except KeyboardInterrupt:
            assert lines == interrupted_at
        else:
            assert lines < interrupted_at
        finally:
            sys.settrace(tracing)
        assert bits(model) in whole
        return lines

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()
    try:
        count = fit(10**9)
        assert count > 50
        for line in range(1, count + 1):
            assert fit(line) == line
    finally:
        signal.signal(signal.SIGINT, previous)
        gc.enable()
    if sys.platform == "linux":
        assert threads_left(threads_before) == 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no interval timer")
def test_no_alarm_is_lost_in_small_predicts() -> None:
    model, x = RNN(1, 4, 1, seed=0), np.ones((1, 3))
    raised = caught = 0

    def answer(number: int, frame: object) -> None:
        nonlocal raised
        raised += 1
        raise TimeoutError

    previous = signal.signal(signal.SIGALRM, answer)
    gc.disable()
    try:
        for turn in range(1000):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + 1e-7 * turn)
                while True:
                    model.predict(x)
            except TimeoutError:
                caught += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        gc.enable()
    assert caught == raised == 1000


FORKING = """
crnn._threads.WORK_PER_THREAD = 1
forked = 0

def fork(number, frame):
    global forked
    if forked == 0:
        forked = os.fork()
        if forked == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(120)
            forked = -1
            in_child()
        else:
            raise KeyboardInterrupt

class Alarmed(crnn._cell.Training):
    epochs = 0

    def begin_epoch(self, *order):
        super().begin_epoch(*order)
        Alarmed.epochs += 1
        if Alarmed.epochs == 2:  # the threads run, and the fit has no end
            signal.setitimer(signal.ITIMER_REAL, 0.02)

crnn._cell.Training = Alarmed
signal.signal(signal.SIGALRM, fork)
model = crnn.RNN(1, 256, 1, seed=0)
trainer = crnn.Trainer(epochs=10**6, batch_size=160, threads=3, seed=0)
try:
    trainer.fit(model, x, y)
except KeyboardInterrupt:
    assert forked > 0
except RuntimeError as error:
    assert "fork" in str(error), error
    os._exit(8 if forked < 0 and finite(model) else 9)
code = os.waitstatus_to_exitcode(os.wait()[1])
assert finite(model)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("samples", [160, 16000], ids=["between epochs", "within one"])
@pytest.mark.parametrize(("answer", "expected"), [("sys.exit(7)", 7), ("None", 8)])
def test_a_forks_child_never_waits_for_threads_that_it_has_not(
    samples: int, answer: str, expected: int
) -> None:
    """The child may leave the fit by an exception. If it continues the fit, that is an error."""
    children.run(
        f"x, y = np.ones(({samples}, 10, 1)), np.ones({samples})\n"
        f"in_child = lambda: {answer}\n{FORKING}assert code == {expected}, code\n"
    )


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no interval timer")
def test_a_second_signal_does_not_replace_the_first() -> None:
    code = """
crnn._threads.WORK_PER_THREAD = 1
def answer(number, frame):
    global answers
    answers += 1
    if answers > 1:
        raise TimeoutError
    try:
        raise KeyboardInterrupt
    finally:  # any later exception has it as context
        signal.setitimer(signal.ITIMER_REAL, 0.001)

signal.signal(signal.SIGALRM, answer)
x, y = np.ones((512, 20, 1)), np.ones(512)
model = crnn.RNN(1, 2048, 1, init="notebook", seed=0)
begin = time.monotonic()
for turn in range(20):
    if time.monotonic() - begin > 30:  # an emulator's first few will do
        break
    answers = 0
    signal.setitimer(signal.ITIMER_REAL, 0.05 + 0.003 * turn)
    try:
        try:
            crnn.Trainer(epochs=10**6, batch_size=512, threads=2).fit(model, x, y)
        except KeyboardInterrupt:
            while True:
                time.sleep(1)
    except TimeoutError as error:
        chain = error
        while chain.__context__ is not None:
            chain = chain.__context__
        assert isinstance(chain, KeyboardInterrupt), repr(chain)
"""
    children.run(code)


@pytest.mark.kernel
def test_x_that_another_thread_mends_is_never_read_beyond_its_end() -> None:
    model, x = RNN(1, 4, 1, seed=0), np.zeros((12, 2**12, 1), np.float32)
    over = threading.Event()

    def spoil_and_mend() -> None:
        while not over.is_set():
            # at the end of x: this thread is awake before the reader gets there
            x[:, -1] = np.nan
            x[:, -1] = 0

    worker = threading.Thread(target=spoil_and_mend)
    worker.start()
    refused: list[str] = []
    try:
        end = time.monotonic() + children.HANG
        while len(refused) < 30 and time.monotonic() < end:
            try:
                model.predict(x, threads=1)
            except ValueError as error:
                refused.append(str(error))
    finally:
        over.set()
        worker.join()
    assert len(refused) == 30
    assert all(int(message.rsplit(maxsplit=1)[-1]) < len(x) for message in refused)


def test_only_the_numbers_of_parameters_can_change(tmp_path: Path) -> None:
    model, other = RNN(1, 4, 1, seed=0), RNN(1, 4, 1, seed=1)
    model.parameters()["Wy"].flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # warning of NumPy 2.5
        model.parameters()["b_l0"].shape = (1, 4)
    model.load_state_dict(other.state_dict())
    model.save(tmp_path / "m")
    np.testing.assert_equal(RNN.load(tmp_path / "m").state_dict(), other.state_dict())


def test_a_floating_type_that_is_not_numpys_is_refused() -> None:
    types = pytest.importorskip("ml_dtypes", reason="ml_dtypes, a part of JAX, is not installed")
    with pytest.raises(TypeError, match="x must hold real integers or floats"):
        RNN(1, 4, 1, seed=0).predict(np.ones((1, 1), types.float8_e5m2))


@pytest.mark.parametrize("batch_size", [2**59, 2**62, 2**70])
def test_a_stream_of_more_rows_than_memory_holds(batch_size: int) -> None:
    with pytest.raises(MemoryError):
        RNN(4, 4, 1, seed=0).stream(batch_size)


def test_a_missing_compiled_module_is_reported(tmp_path: Path) -> None:
    package = tmp_path / "crnn"
    package.mkdir()
    for source in Path(crnn.__file__).parent.glob("*.py"):
        shutil.copy(source, package)
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import crnn"],  # without the additions of an editable install
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "holds crnn's sources, not compiled" in done.stderr.splitlines()[-1]
