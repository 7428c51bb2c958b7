"""Checkpoints: an interrupted and resumed fit ends with the bits of an uninterrupted one."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import children
import numpy as np
import pytest
from networks import bits

import crnn
from crnn import RNN, EarlyStopping, Trainer, storage

X, Y = crnn.dataset.windows(crnn.dataset.mackey_glass(150, seed=0), 12)


class Stop(Exception):
    """Raised by a callback to interrupt a fit."""


def model() -> RNN:
    return RNN(1, 8, 1, seed=0)


def trainer(**settings: Any) -> Trainer:
    return Trainer(
        **{"epochs": 7, "learning_rate": 0.02, "seed": 3, "optimizer": "adam", **settings}
    )


def interrupted(path: Path, epoch: int, arguments: dict[str, Any], **settings: Any) -> None:
    def stop(done: int, *_: Any) -> None:
        if done == epoch:
            raise Stop

    with pytest.raises(Stop):
        trainer(**settings).fit(model(), X, Y, checkpoint=path, callbacks=[stop], **arguments)


def same(one: crnn.History, other: crnn.History) -> None:
    for name in (
        *("loss", "validation_loss", "best_epoch", "refit_loss", "learning_rate", "metrics"),
        *("clipped_fraction", "gradient_norm", "seed"),
    ):
        assert getattr(one, name) == getattr(other, name), name


FITS = {
    "plain": {},
    "validation": {"validation": 0.2, "metrics": {"mae": lambda y, p: float(abs(y - p).mean())}},
    "early stopping": {"validation": 0.2, "early_stopping": EarlyStopping(patience=2)},
    "refit": {"validation": 0.2, "early_stopping": EarlyStopping(patience=2, refit=True)},
}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("epoch", [2, 3])
def test_a_resumed_fit_ends_with_the_same_bits(
    epoch: int, fit: str, optimizer: str, tmp_path: Path
) -> None:
    settings = {"optimizer": optimizer, "learning_rate": 0.1 if fit == "refit" else 0.02}
    whole, resumed = model(), model()
    expected = trainer(**settings).fit(whole, X, Y, **FITS[fit])
    interrupted(tmp_path / "file", epoch, FITS[fit], **settings)
    history = trainer(**settings).fit(resumed, X, Y, checkpoint=tmp_path / "file", **FITS[fit])
    assert bits(resumed) == bits(whole)
    same(history, expected)


def test_an_interrupted_refit_resumes(tmp_path: Path) -> None:
    arguments = FITS["refit"]
    whole, resumed = model(), model()
    expected = trainer(learning_rate=0.1).fit(whole, X, Y, **arguments)
    calls: list[int] = []

    def stop(epoch: int, _: RNN, history: crnn.History) -> None:
        calls.append(epoch)
        if history.refit_loss:
            raise Stop

    with pytest.raises(Stop):
        trainer(learning_rate=0.1).fit(
            model(), X, Y, checkpoint=tmp_path / "file", callbacks=[stop], **arguments
        )
    history = trainer(learning_rate=0.1).fit(
        resumed, X, Y, checkpoint=tmp_path / "file", **arguments
    )
    assert bits(resumed) == bits(whole)
    same(history, expected)


def test_a_finished_fit_returns_at_once(tmp_path: Path) -> None:
    first, second = model(), model()
    expected = trainer().fit(first, X, Y, checkpoint=tmp_path / "file")
    called: list[int] = []
    history = trainer().fit(
        second, X, Y, checkpoint=tmp_path / "file", callbacks=[lambda e, *_: called.append(e)]
    )
    assert not called
    assert bits(second) == bits(first)
    same(history, expected)


def test_an_interrupted_fit_resumes_with_more_epochs(tmp_path: Path) -> None:
    interrupted(tmp_path / "file", 3, {})
    resumed, expected = model(), model()
    trainer(epochs=9).fit(resumed, X, Y, checkpoint=tmp_path / "file")
    trainer(epochs=9).fit(expected, X, Y)
    assert bits(resumed) == bits(expected)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("every", [1, 4])
def test_a_finished_fit_continues_with_more_epochs(
    every: int, optimizer: str, tmp_path: Path
) -> None:
    longer, expected = model(), model()
    settings = {"optimizer": optimizer, "learning_rate": crnn.schedules.Exponential(0.05, 0.9)}
    for epochs in (3, 5, 9):
        history = trainer(epochs=epochs, **settings).fit(
            longer, X, Y, checkpoint=tmp_path / "file", checkpoint_every=every
        )
        assert len(history.loss) == epochs
    same(history, trainer(epochs=9, **settings).fit(expected, X, Y))
    assert bits(longer) == bits(expected)
    history = trainer(epochs=4, **settings).fit(model(), X, Y, checkpoint=tmp_path / "file")
    assert len(history.loss) == 9  # fewer epochs change nothing


def test_what_a_callback_or_early_stopping_ended_stays_finished(tmp_path: Path) -> None:
    stopped, again = model(), model()
    arguments = {"checkpoint": tmp_path / "stopped"}
    trainer().fit(stopped, X, Y, callbacks=[lambda epoch, *_: epoch == 3], **arguments)
    assert len(trainer(epochs=9).fit(again, X, Y, **arguments).loss) == 3
    assert bits(again) == bits(stopped)
    early, again = model(), model()
    arguments = {"checkpoint": tmp_path / "early", **FITS["early stopping"]}
    history = trainer().fit(early, X, Y, **arguments)
    same(trainer(epochs=19).fit(again, X, Y, **arguments), history)
    assert bits(again) == bits(early)


def test_a_seed_that_was_drawn_is_in_the_file(tmp_path: Path) -> None:
    interrupted(tmp_path / "file", 3, {}, seed=None)
    first, second = model(), model()
    copy = tmp_path / "copy"
    copy.write_bytes((tmp_path / "file").read_bytes())
    trainer(seed=None).fit(first, X, Y, checkpoint=tmp_path / "file")
    trainer(seed=None).fit(second, X, Y, checkpoint=copy)
    assert bits(first) == bits(second)


def test_only_every_kth_epoch_is_written(tmp_path: Path) -> None:
    written = []

    def look(epoch: int, *_: Any) -> None:
        if (tmp_path / "file").exists():
            _, settings = storage.read(tmp_path / "file", "checkpoint")
            written.append(settings["epochs"])

    trainer().fit(model(), X, Y, checkpoint=tmp_path / "file", checkpoint_every=3, callbacks=[look])
    assert written == [3, 3, 3, 6]


def test_ctrl_c_writes_the_last_whole_epoch(tmp_path: Path) -> None:
    def interrupt(epoch: int, *_: Any) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer().fit(
            model(),
            X,
            Y,
            checkpoint=tmp_path / "file",
            checkpoint_every=100,
            callbacks=[interrupt],
        )
    _, settings = storage.read(tmp_path / "file", "checkpoint")
    assert settings["epochs"] in (2, 3)
    resumed, whole = model(), model()
    trainer().fit(resumed, X, Y, checkpoint=tmp_path / "file")
    trainer().fit(whole, X, Y)
    assert bits(resumed) == bits(whole)


def test_ctrl_c_within_an_epoch_writes_the_epoch_before(tmp_path: Path) -> None:
    children.run(
        f"""
x, y = crnn.dataset.windows(crnn.dataset.mackey_glass(200, seed=0), 12)
x, y = np.tile(x, (1000, 1, 1)), np.tile(y, (1000, 1))  # an epoch lasts far more than 0.1 s
path = {str(tmp_path / "file")!r}

def network():
    return crnn.RNN(1, 4, 1, seed=0)

def fit(model, epochs, **settings):
    crnn.Trainer(epochs, batch_size=1, optimizer="adam", seed=0).fit(model, x, y, **settings)

model, ends = network(), []

def note(*_):
    ends.append(bits(model))

interrupt_when(lambda: len(ends) == 1 and bits(model) != ends[0])
try:
    fit(model, 1000, checkpoint=path, checkpoint_every=1000, callbacks=[note])
except KeyboardInterrupt:
    pass
else:
    raise AssertionError("not interrupted")
assert bits(model) not in ends  # within an epoch
done = crnn.storage.read(path, "checkpoint")[1]["epochs"]
assert done == len(ends)
resumed, whole = network(), network()
fit(resumed, done + 1, checkpoint=path)
fit(whole, done + 1)
assert bits(resumed) == bits(whole)
"""
    )


DIFFERENT = {
    "learning_rate": (trainer(learning_rate=0.03), model(), X, Y, {}),
    "optimizer": (trainer(optimizer="sgd"), model(), X, Y, {}),
    "loss": (trainer(loss="mae"), model(), X, Y, {}),
    "seed": (trainer(seed=4), model(), X, Y, {}),
    "batch_size": (trainer(batch_size=16), model(), X, Y, {}),
    "hidden_size": (trainer(), RNN(1, 9, 1, seed=0), X, Y, {}),
    "data": (trainer(), model(), X, Y + 1, {}),
    "lengths": (trainer(), model(), X, Y, {"lengths": np.full(len(X), 11)}),
    "weight": (trainer(), model(), X, Y, {"sample_weight": np.arange(len(X))}),
    "clip_value .*clip_norm": (trainer(clip_norm=2.0), model(), X, Y, {}),
    "model's nonlinearity": (trainer(), RNN(1, 8, 1, nonlinearity="relu", seed=0), X, Y, {}),
    "missing": (trainer(), model(), X, Y, {"missing": "ignore"}),
    "validation": (trainer(), model(), X, Y, {"validation": 0.2}),
    "early_stopping": (
        trainer(),
        model(),
        X,
        Y,
        {"validation": 0.2, "early_stopping": EarlyStopping()},
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_another_training_is_refused(what: str, tmp_path: Path) -> None:
    interrupted(tmp_path / "file", 3, {})
    other, network, x, y, arguments = DIFFERENT[what]
    before = bits(network)
    with pytest.raises(ValueError, match=f"checkpoint .*{what}"):
        other.fit(network, x, y, checkpoint=tmp_path / "file", **arguments)
    assert bits(network) == before


@pytest.mark.parametrize(
    "held", [{"validation": 0.3}, {"validation": 0.2, "gap": 3}, {"validation_data": (X, Y)}, {}]
)
def test_another_validation_part_is_refused_by_its_name(held: Any, tmp_path: Path) -> None:
    interrupted(tmp_path / "file", 3, {"validation": 0.2})
    with pytest.raises(ValueError, match=r"the validation part .* differs") as caught:
        trainer().fit(model(), X, Y, checkpoint=tmp_path / "file", **held)
    assert "the data" not in str(caught.value)


@pytest.mark.parametrize("place", [0, 70, 148])  # 148: in the last window alone
def test_a_changed_value_of_the_series_of_windows_is_refused(place: int, tmp_path: Path) -> None:
    interrupted(tmp_path / "file", 3, {})
    series = crnn.dataset.mackey_glass(150, seed=0).copy()
    series[place] += 1e-6
    changed, _ = crnn.dataset.windows(series, 12)
    with pytest.raises(ValueError, match=r"the data \(x, y, lengths or sample_weight\) differ"):
        trainer().fit(model(), changed, Y, checkpoint=tmp_path / "file")


@pytest.mark.parametrize("what", ["damaged", "network", "empty"])
def test_a_foreign_file_is_refused_and_kept(what: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if what == "network":
        model().save(path)
    else:
        interrupted(path, 3, {})
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(bytes(content) if what == "damaged" else b"")
    content = bytearray(path.read_bytes())
    with pytest.raises(ValueError, match=r"file"):
        trainer().fit(model(), X, Y, checkpoint=path)
    assert path.read_bytes() == bytes(content)


def test_a_full_disk_is_a_warning_and_the_training_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(tmp_path / "file", 2, {})
    content = (tmp_path / "file").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, "write", full)
    resumed, whole = model(), model()
    with pytest.warns(RuntimeWarning, match="No space left"):
        trainer().fit(resumed, X, Y, checkpoint=tmp_path / "file")
    trainer().fit(whole, X, Y)
    assert bits(resumed) == bits(whole)
    assert (tmp_path / "file").read_bytes() == content


KILLED = """
    import sys, crnn
    x, y = crnn.dataset.windows(crnn.dataset.mackey_glass(150, seed=0), 12)
    model = crnn.RNN(1, 8, 1, seed=0)
    trainer = crnn.Trainer(
        epochs=60, batch_size=2, learning_rate=0.02, seed=3, optimizer="adam", threads=1)
    trainer.fit(
        model, x, y, checkpoint=sys.argv[1], validation=0.2,
        early_stopping=crnn.EarlyStopping(patience=25, refit=True))
    model.save(sys.argv[2])
"""


def killed_at_random_instants(kills: int, tmp_path: Path) -> None:
    """Kill a training repeatedly until it ends. Its bits are those of an undisturbed one."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED)]
    start = time.monotonic()
    subprocess.run([*command, str(tmp_path / "c0"), str(tmp_path / "m0")], check=True)
    whole = time.monotonic() - start
    draw = random.Random(0)
    done = 0
    while done < kills:
        for old in ("c1", "m1"):
            (tmp_path / old).unlink(missing_ok=True)
        ended = False
        while not ended:
            child = subprocess.Popen([*command, str(tmp_path / "c1"), str(tmp_path / "m1")])
            try:
                child.wait(timeout=draw.uniform(0.1, 1) * whole if done < kills else None)
                ended = True
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
                done += 1
        assert child.returncode == 0
        assert (tmp_path / "m1").read_bytes() == (tmp_path / "m0").read_bytes()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_training_that_is_killed_ends_with_the_same_bits(tmp_path: Path) -> None:
    killed_at_random_instants(5, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_training_that_is_killed_fifty_times_ends_with_the_same_bits(tmp_path: Path) -> None:
    killed_at_random_instants(50, tmp_path)


OTHER_PROCESSOR = """
    import sys, crnn
    x, y = crnn.dataset.windows(crnn.dataset.mackey_glass(80, seed=0), 12)
    model = crnn.RNN(1, 9, 1, num_layers=2, seed=0)  # 9: rows are padded by the instruction set
    trainer = crnn.Trainer(epochs=5, seed=3, optimizer="adam", clip_norm=0.1, threads=1)
    def stop(epoch, *_):
        if str(epoch) == sys.argv[3]:
            sys.exit()
    trainer.fit(model, x, y, checkpoint=sys.argv[1], callbacks=[stop])
    model.save(sys.argv[2])
"""


def test_a_fit_resumes_with_another_instruction_set(tmp_path: Path) -> None:
    fused = [isa for isa in crnn.cpu_info()["available"] if isa != "portable"]
    if len(fused) < 2:
        pytest.skip("this machine has fewer than two instruction sets that fuse")
    for name, isas in (("whole", fused[:1]), ("moved", fused[:2])):
        for isa, last in zip(isas, ("2", "-"), strict=False):
            subprocess.run(
                [
                    *(sys.executable, "-c", textwrap.dedent(OTHER_PROCESSOR)),
                    *(str(tmp_path / f"{name}-checkpoint"), str(tmp_path / name)),
                    last if len(isas) > 1 else "-",
                ],
                env={**os.environ, "CRNN_ISA": isa},
                check=True,
            )
    assert (tmp_path / "moved").read_bytes() == (tmp_path / "whole").read_bytes()
