"""The notebook's own RNN and dataset: same names, same numbers, compiled training.

After ``from crnn.notebook import RNN, dataset`` the notebook's cells run unchanged.

The notebook's gradient has a bug: at step t it uses h(t-1) and h(t-2) where the chain rule needs
h(t) and h(t-1). (At the first step h(t-2) is the last state.) This class keeps the bug, so that its
numbers are the notebook's. ``RNN(..., gradient="exact")`` corrects it. Everything else in this
package uses the exact gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn import _arguments, _batches, _cell, _samples, losses, optimizers
from crnn._arguments import Array

GRADIENTS = ("shifted", "exact")


def dataset(size: int = 200, timesteps: int = 25) -> tuple[Array, Array]:
    """Cut sin(0), sin(1), ... into windows, each with the value that follows it.

    Parameters
    ----------
    size : int, default 200
        Length of the series.
    timesteps : int, default 25
        Length of a window, T.

    Returns
    -------
    x : ndarray, shape (size - T, T, 1)
    y : ndarray, shape (size - T, 1)

    Raises
    ------
    TypeError, ValueError
        If size or timesteps is not a positive integer, or no window fits into the series.

    Examples
    --------
    >>> x, y = dataset(300)
    >>> x.shape, y.shape
    ((275, 25, 1), (275, 1))
    """
    size = _arguments.integer("size", size)
    timesteps = _arguments.integer("timesteps", timesteps)
    if timesteps >= size:
        raise ValueError(f"timesteps must be less than size, {size}, got {timesteps}")
    series = np.sin(np.arange(size))
    x = np.lib.stride_tricks.sliding_window_view(series, timesteps)[:-1]
    return np.array(x)[:, :, np.newaxis], series[timesteps:, np.newaxis].copy()


class RNN:
    """The notebook's model: one sample at a time, gradients clipped to [-1, 1], float64.

    ::

        h_t = tanh(x_t Wx + h_{t-1} Wh),  y = h_T Wy,  loss = 0.5 sum (y - target)^2

    Parameters
    ----------
    x : array_like, shape (N, T, 1)
    y : array_like, shape (N, O)
    hidden_units : int
        H. Wx, Wh and Wy are drawn, in this order, from NumPy's global generator
        (``np.random.seed``) as randn * 0.01.
    gradient : {"shifted", "exact"}, default "shifted"
        The notebook's gradient, or the chain rule's.

    Attributes
    ----------
    x, y, hidden_units, Wx, Wh, Wy
        As in the notebook; the weights are changed in place.
    inputs, hidden_states, error, loss, yt
        Values of the last sample that ran forward: lists of (1, 1) and (1, H) arrays, and (1, O)
        arrays.
    lr, Ovr_loss, outputs
        Learning rate of ``train``; losses of ``train``, the last sample's loss of every epoch;
        outputs of ``test``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

    Examples
    --------
    >>> np.random.seed(0)
    >>> x, y = dataset(100)
    >>> rnn = RNN(x, y, 16)
    >>> rnn.train(2, 1e-2)
    Epoch: 1 | Loss: 4.985314e-01
    """

    def __init__(self, x: Any, y: Any, hidden_units: int, *, gradient: str = "shifted") -> None:
        self.x, self.y = _checked(x, y)
        self.hidden_units = _arguments.integer("hidden_units", hidden_units)
        self.gradient = _arguments.choice("gradient", gradient, GRADIENTS)
        self.Wx = np.random.randn(1, hidden_units) * 0.01
        self.Wh = np.random.randn(hidden_units, hidden_units) * 0.01
        self.Wy = np.random.randn(hidden_units, self.y.shape[1]) * 0.01

    def cell(self, xt: Array, ht_1: Array) -> tuple[Array, Array]:
        """Compute state (1, H) and output (1, O) of a timestep from input (1, 1) and last state."""
        with np.errstate(all="ignore"):
            ht = np.tanh(np.dot(xt, self.Wx) + np.dot(ht_1, self.Wh))
            yt = np.dot(ht, self.Wy)
        return ht, yt

    @np.errstate(all="ignore")
    def forward(self, sample: int) -> None:
        """Run one sample. Sets inputs, hidden_states, error, loss and yt."""
        sample_x, sample_y = self.x[sample], self.y[sample]
        ht = np.zeros((1, self.hidden_units))
        self.hidden_states = [ht]
        self.inputs = []
        for step in range(len(sample_x)):
            xt = sample_x[step].reshape(1, 1)
            ht, yt = self.cell(xt, ht)
            self.inputs.append(xt)
            self.hidden_states.append(ht)
        self.error = yt - sample_y
        self.loss: Any = 0.5 * np.sum(self.error**2)
        self.yt = yt

    @np.errstate(all="ignore")
    def backward(self) -> None:
        """Update the weights with the gradient of the sample that ran forward last."""
        steps = len(self.inputs)
        shift = 1 if self.gradient == "exact" else 0
        dyt = self.error
        dWy = np.dot(self.hidden_states[-1].T, dyt)
        dht = np.dot(dyt, self.Wy.T)
        dWx = np.zeros_like(self.Wx)
        dWh = np.zeros_like(self.Wh)
        for step in reversed(range(steps)):
            da = (1 - self.hidden_states[step + shift] ** 2) * dht
            dWx += np.dot(self.inputs[step].T, da)
            dWh += np.dot(self.hidden_states[step + shift - 1].T, da)
            dht = np.dot(da, self.Wh.T)
        self.Wy -= self.lr * np.clip(dWy, -1, 1)
        self.Wx -= self.lr * np.clip(dWx, -1, 1)
        self.Wh -= self.lr * np.clip(dWh, -1, 1)

    def train(self, epochs: int, learning_rate: float, verbose: int = 2) -> None:
        """Train on x and y, sample by sample in order.

        Parameters
        ----------
        epochs : int
        learning_rate : float
        verbose : int, default 2
            1 prints every 100th epoch and 2 every 10th. Above 3, every epoch overwrites the line of
            the last one. The first epoch is always printed.

        Raises
        ------
        TypeError, ValueError
            If an argument is invalid. The message names it.
        KeyboardInterrupt
            On Ctrl-C, within 0.1 s. The weights are those after the last complete sample.
        """
        epochs = _arguments.integer("epochs", epochs, minimum=0)
        self.lr = _arguments.real("learning_rate", learning_rate, above=0)
        verbose = _arguments.integer("verbose", verbose, minimum=0)
        self.x, self.y = _checked(self.x, self.y)
        self.Ovr_loss: list[Any] = []
        count = len(self.x)
        weights = _cell.Weights(1, self.hidden_units, self.y.shape[1], False, np.float64)
        arrays = {"Wx_l0": self.Wx, "Wh_l0": self.Wh, "Wy": self.Wy}
        weights.load(arrays)
        try:
            for epoch in range(epochs):
                # the last sample of all runs in Python, which sets the states and errors as the
                # notebook does
                last = epoch == epochs - 1
                loss = self._train_epoch(weights, count - 1 if last else count)
                if last:
                    weights.store(arrays)
                    self.forward(count - 1)
                    self.backward()
                    weights.load(arrays)
                    loss = self.loss
                self._report(epoch, loss, verbose)
                self.loss = 0
        finally:
            weights.store(arrays)

    def _train_epoch(self, weights: _cell.Weights, count: int) -> float:
        """Run one compiled epoch over the first `count` samples. Returns the last one's loss."""
        if count == 0:
            return 0.0
        training = _cell.Training(
            weights,
            _samples.Samples(self.x[:count]),
            _samples.Samples(self.y[:count, None]),
            1,
            1,
            loss=losses.MSE(),
            optimizer=optimizers.SGD(),
            clip_value=1.0,
            mean=False,
            shifted=self.gradient == "shifted",
        )
        one_by_one = _batches.Batches(count, 1, np.ones((1, 1), np.int64), self.x.shape[1])
        training.begin_epoch(one_by_one.plan(None), rates=self.lr)
        _cell.Crew(1).run(training)
        last_loss: float = training.end_epoch()[1]
        return last_loss

    def _report(self, epoch: int, loss: float, verbose: int) -> None:
        self.Ovr_loss.append(np.mean(loss))
        line = f"Epoch: {epoch + 1} | Loss: {loss:.6e}"
        if verbose == 1:
            if (epoch + 1) % 100 == 0:
                print(line)
        elif verbose == 2:
            if (epoch + 1) % 10 == 0:
                print(line)
        elif verbose > 3:
            print(line, end="\r")
        if epoch == 0:
            print(line)

    def test(self, x: Any, y: Any) -> Any:
        """Print and return 0.5 times the mean squared error on x and y; sets ``outputs`` (N, O).

        As in the notebook, x and y replace those that the model was made with.
        """
        self.x, self.y = _checked(x, y)
        weights = _cell.Weights(1, self.hidden_units, self.Wy.shape[1], False, np.float64)
        weights.load({"Wx_l0": self.Wx, "Wh_l0": self.Wh, "Wy": self.Wy})
        outputs = np.empty((len(self.x), self.Wy.shape[1]))
        job = _cell.Prediction(weights, _samples.Samples(self.x), 1, y=outputs)
        _cell.Crew(1).run(job)
        job.end()
        self.forward(len(self.x) - 1)  # sets the attributes that the notebook's loop sets
        self.outputs = outputs
        with np.errstate(all="ignore"):
            self.error = self.outputs - self.y
            self.loss = 0.5 * np.mean(self.error**2)
        print(f"Test Loss: {self.loss:.5e}")
        return self.loss


def _checked(x: Any, y: Any) -> tuple[Array, Array]:
    samples = _samples.inputs("x", x, 1)
    wanted = _arguments.numeric("y", y)
    outputs = wanted.shape[1] if wanted.ndim == 2 else 1
    targets = _samples.targets("y", wanted, samples, max(outputs, 1), every=False, classes=False)
    for name, given in (("x", samples), ("y", targets)):
        _samples.check(name, given, np.dtype(np.float64))
    return samples.array, wanted if wanted.ndim == 2 else wanted[:, None]
