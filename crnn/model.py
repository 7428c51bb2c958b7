"""RNN: parameters, initialisation, predict, states, loss, gradients, stream."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from crnn import _arguments, _batches, _cell, _samples, _threads
from crnn._arguments import Array
from crnn._cell import Stream
from crnn._samples import Samples
from crnn.dataset import Sequences

if TYPE_CHECKING:
    from crnn import losses

INITS = ("orthogonal", "notebook")
NONLINEARITIES = ("tanh", "relu")
OUTPUTS = ("last", "all")


class Gradients(dict[str, Array]):
    """Gradients by parameter name, with the memory in which they were computed.

    ``RNN.gradients`` returns this object and takes it again as ``out``. A copy is a plain dict.
    """

    _batch: Any = None
    _key: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class RNN:
    r"""An Elman recurrent network with a linear output layer, like ``torch.nn.RNN`` and Linear.

    For every timestep t of a layer, with row vectors::

        h_t = tanh(x_t Wx + h_{t-1} Wh + b),   h_0 = 0
        y_t = h_t Wy + by

    The letters Wx, Wh and b stand for the parameters of one layer. Their names are Wx_l0, Wh_l0 and
    b_l0 in the first layer, Wx_l1, Wh_l1 and b_l1 in the second, and so on. In the backward
    direction the names end in _reverse: Wx_l0_reverse. Wy and by belong to the output layer. All
    equations in this package use these letters.

    The x_t of the second layer is the h_t of the first, and so on. With two directions, a second
    set of cells runs through each sequence from its end. The next layer reads the states of both
    directions, forward first.

    Letters: N samples, T timesteps, I inputs, H hidden units, O outputs, L layers, D directions.

    Scale inputs and targets to mean 0 and standard deviation 1: the states are between -1 and 1,
    and the initial weights suit numbers of this size.

    Parameters
    ----------
    input_size : int
        I, features of x_t; with `tokens` the number of different tokens.
    hidden_size : int
        H, hidden units of each layer and direction.
    output_size : int
        O, outputs.
    num_layers : int, default 1
        L, layers.
    bidirectional : bool, default False
        Whether D is 2: every layer also runs backward in time.
    nonlinearity : {"tanh", "relu"}, default "tanh"
    output : {"last", "all"}, default "last"
        "last": one output for each sample, from the state after its last step; of the backward
        direction from the state after its first step. "all": an output at every step.
    tokens : bool, default False
        Whether x holds integers in [0, I) instead of features: x_t Wx is then row x_t of Wx.
    dropout : float, default 0.0
        Rate at which `fit` drops states between two layers, independently for each unit and step.
        The other states are multiplied by 1 / (1 - rate).
    recurrent_dropout : float, default 0.0
        Rate at which `fit` drops units of h_{t-1}: the same units at all steps of a sequence [3]_.
    bias : bool, default True
        Whether the network has the biases b and by.
    dtype : {"float32", "float64"}, default "float32"
        Type of parameters, arithmetic and outputs.
    init : {"orthogonal", "notebook"}, default "orthogonal"
        "orthogonal": Wx and Wy Glorot uniform [1]_ (with `tokens` a fan-in of 1), Wh with
        orthonormal rows [2]_, b and by zero. "notebook": every weight drawn from N(0, 0.01^2), b
        and by zero.
    seed : int, optional
        Seed of the initial weights. The same seed gives the same network on every machine. (With
        "notebook": on every machine whose C library has the same logarithm.) None draws a seed from
        the system; the attribute `seed` keeps it.

    Attributes
    ----------
    input_size, hidden_size, output_size, num_layers, bidirectional, nonlinearity, output, tokens
        As given. Read-only.
    dropout, recurrent_dropout, bias, dtype
        As given, dtype as a NumPy dtype. Read-only.
    init, seed
        As given.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid. The message names it.

    Warns
    -----
    UserWarning
        If `dropout` is given for a network with one layer, where it has no effect.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.
    .. [2] A. M. Saxe, J. L. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of
       learning in deep linear neural networks", ICLR 2014, https://arxiv.org/abs/1312.6120.
       The rows of a matrix with entries uniform in [-1, 1) are made orthonormal.
    .. [3] Y. Gal, Z. Ghahramani, "A theoretically grounded application of dropout in recurrent
       neural networks", NeurIPS 2016, https://arxiv.org/abs/1512.05287.

    Examples
    --------
    >>> import crnn
    >>> x, y = crnn.dataset.windows(crnn.dataset.sine_wave(300), timesteps=25)
    >>> model = crnn.RNN(1, 100, 1, seed=0)
    >>> history = crnn.Trainer(epochs=20, optimizer="adam", seed=0).fit(model, x, y)
    >>> model.predict(x).shape
    (275, 1)
    >>> bool(model.loss(x, y) < 1e-3)
    True

    Two layers in both directions, with an output at every step:

    >>> tagger = crnn.RNN(3, 16, 2, num_layers=2, bidirectional=True, output="all", seed=0)
    >>> import numpy as np
    >>> tagger.predict(np.zeros((5, 10, 3))).shape
    (5, 10, 2)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        nonlinearity: str = "tanh",
        output: str = "last",
        tokens: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        bias: bool = True,
        dtype: DTypeLike = "float32",
        init: str = "orthogonal",
        seed: int | None = None,
    ) -> None:
        self._set(locals())
        if self.dropout > 0 and self.num_layers == 1:
            warnings.warn(
                f"dropout acts between layers and has no effect in a network with one layer, got "
                f"{dropout}; recurrent_dropout acts within a layer",
                UserWarning,
                stacklevel=2,
            )
        self._initialise()

    def _set(self, given: Mapping[str, Any]) -> None:
        """Check and store the settings, and create the weights, all zero."""
        inputs, hidden, outputs = (_arguments.integer(name, given[name]) for name in SIZES)
        layers = _arguments.integer("num_layers", given["num_layers"])
        directions = 1 + _arguments.boolean("bidirectional", given["bidirectional"])
        nonlinearity = _arguments.choice("nonlinearity", given["nonlinearity"], NONLINEARITIES)
        self._output = _arguments.choice("output", given["output"], OUTPUTS)
        tokens = _arguments.boolean("tokens", given["tokens"])
        self._dropout, self._recurrent_dropout = (
            _arguments.real(name, given[name], minimum=0, below=1)
            for name in ("dropout", "recurrent_dropout")
        )
        bias = _arguments.boolean("bias", given["bias"])
        dtype = _float_type("dtype", given["dtype"])
        most = 1 << (24 if dtype == np.float32 else 53)  # the largest token that dtype holds
        for name, number in (("input_size", inputs if tokens else 0), ("output_size", outputs)):
            if number > most:
                raise ValueError(f"{name} must be at most {most} in {dtype}, got {number}")
        self.init = _arguments.choice("init", given["init"], INITS)
        self.seed = _arguments.drawn_seed(_arguments.seed("seed", given["seed"]))
        self._weights = _cell.Weights(
            inputs,
            hidden,
            outputs,
            bias,
            dtype,
            num_layers=layers,
            directions=directions,
            relu=nonlinearity == "relu",
            tokens=tokens,
        )

    def __repr__(self) -> str:
        settings = self._settings()
        shown = [str(settings[name]) for name in SIZES]
        shown += [
            f"{name}={settings[name]!r}"
            for name in settings
            if name not in SIZES and settings[name] != DEFAULTS.get(name)
        ]
        return f"RNN({', '.join(shown)})"

    def _initialise(self) -> None:
        random = np.random.default_rng(self.seed)
        for name, array in self._weights.arrays.items():
            rows, columns = array.shape if array.ndim == 2 else (0, 0)
            if array.ndim == 1:
                continue  # biases are zero
            if self.init == "notebook":
                array[...] = random.standard_normal((rows, columns)) * 0.01
            elif name.startswith("Wh"):
                # uniform numbers need a multiplication only, so they are the same everywhere
                basis = random.uniform(-1, 1, (rows, columns))
                _cell.orthonormalise(basis)
                array[...] = basis
            else:
                fan_in = 1 if self.tokens and name.startswith("Wx_l0") else rows
                bound = (6 / (fan_in + columns)) ** 0.5
                array[...] = random.uniform(-bound, bound, (rows, columns))

    # ---- settings ----

    @property
    def input_size(self) -> int:
        """I, features of x_t, or number of different tokens."""
        return self._weights.input_size

    @property
    def hidden_size(self) -> int:
        """H, hidden units of each layer and direction."""
        return self._weights.hidden_size

    @property
    def output_size(self) -> int:
        """O, outputs."""
        return self._weights.output_size

    @property
    def num_layers(self) -> int:
        """L, layers."""
        return self._weights.num_layers

    @property
    def bidirectional(self) -> bool:
        """Whether every layer also runs backward in time."""
        return self._weights.directions == 2

    @property
    def nonlinearity(self) -> str:
        """Activation function of the cells, "tanh" or "relu"."""
        return "relu" if self._weights.relu else "tanh"

    @property
    def output(self) -> str:
        """When the network has outputs: after the "last" step, or at "all" steps."""
        return self._output

    @property
    def tokens(self) -> bool:
        """Whether x holds integers in [0, I)."""
        return self._weights.tokens

    @property
    def dropout(self) -> float:
        """Rate at which `fit` drops states between layers."""
        return self._dropout

    @property
    def recurrent_dropout(self) -> float:
        """Rate at which `fit` drops units of h_{t-1}."""
        return self._recurrent_dropout

    @property
    def bias(self) -> bool:
        """Whether the network has the biases b and by."""
        return self._weights.bias

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of parameters, arithmetic and outputs."""
        return self._weights.dtype

    @property
    def _every(self) -> bool:
        return self._output == "all"

    # ---- parameters ----

    def parameters(self) -> dict[str, Array]:
        """The live parameter arrays by name. Writing into one changes the network.

        Returns
        -------
        dict
            Wx_l0 (I, H), Wh_l0 (H, H), b_l0 (H,), Wy (D H, O), by (O,); Wx_l1 (D H, H) and so on
            for more layers, and names that end in "_reverse" for the backward direction. No biases
            if ``bias`` is False. Rows are padded in memory: use ``state_dict`` for contiguous
            copies.
        """
        return {name: array.view() for name, array in self._weights.arrays.items()}

    def state_dict(self) -> dict[str, Array]:
        """Contiguous copies of the parameters by name."""
        return {name: array.copy() for name, array in self._weights.arrays.items()}

    def load_state_dict(self, state_dict: Mapping[str, ArrayLike]) -> None:
        """Set the parameters: all of them, or none if one is invalid.

        Raises
        ------
        TypeError
            If ``state_dict`` is not a mapping, or an array does not hold real numbers.
        ValueError
            If a name is missing or unknown, a shape differs or a number is not finite.
        """
        checked = _arguments.arrays_like("state_dict", state_dict, self._weights.arrays, self.dtype)
        self._weights.load(checked)

    # ---- running ----

    def predict(
        self,
        x: ArrayLike | Sequences,
        *,
        lengths: ArrayLike | None = None,
        h0: ArrayLike | None = None,
        return_state: bool = False,
        threads: int | None = None,
    ) -> Any:
        """Compute the outputs for every sample.

        The bits of row i depend neither on the other rows nor on the number of threads.

        Parameters
        ----------
        x : array_like, shape (N, T, I), or (N, T) when I is 1; or Sequences
            Inputs of any strides, byte order and real type. They are read in place. A single window
            has shape (1, T, 1), not (T, 1). With ``tokens``: integers, (N, T).
        lengths : array_like of int, shape (N,), optional
            Steps of each sample, from 1 to T. Later steps are ignored.
        h0 : array_like, shape (L D, N, H), optional
            States before the first steps, as in ``torch.nn.RNN``; (N, H) when L D is 1. None:
            zeros.
        return_state : bool, default False
            Whether to also return the last states.
        threads : int, optional
            Largest number of threads. None takes the processors that this process may use, or
            ``OMP_NUM_THREADS`` if that is lower. Small networks run on one thread.

        Returns
        -------
        y : ndarray, shape (N, O); with ``output="all"`` (N, T, O), zeros past the lengths
            For Sequences with ``output="all"``: Sequences over one array (total steps, O).
        h_n : ndarray, shape (L D, N, H)
            Only with `return_state`: every cell's state after its last step.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or shape, or holds a number that is not finite.

        Examples
        --------
        >>> import crnn, numpy as np
        >>> crnn.RNN(3, 16, 2, seed=0).predict(np.zeros((5, 10, 3))).shape
        (5, 2)
        """
        samples = self._inputs("x", x, lengths)
        last = None
        if _arguments.boolean("return_state", return_state):
            last = np.empty((self._cells, len(samples), self.hidden_size), self.dtype)
        if not self._every:
            y = np.empty((len(samples), self.output_size), self.dtype)
            self._run("x", samples, h0, threads, y=y, last=last)
            return (y, last) if return_state else y
        rows, starts, result = self._steps_of(samples, x, self.output_size)
        self._run("x", samples, h0, threads, y=rows, starts=starts, last=last)
        return (result, last) if return_state else result

    def states(
        self,
        x: ArrayLike | Sequences,
        *,
        lengths: ArrayLike | None = None,
        h0: ArrayLike | None = None,
        threads: int | None = None,
    ) -> Any:
        """Compute the states of the last layer at every step, the forward direction first.

        Parameters
        ----------
        x, lengths, h0, threads
            As in ``predict``.

        Returns
        -------
        states : ndarray, shape (N, T, D H), zeros past the lengths
            For Sequences: Sequences over one array (total steps, D H). Both directions are in time
            order.

        Examples
        --------
        >>> import crnn, numpy as np
        >>> crnn.RNN(3, 16, 2, bidirectional=True, seed=0).states(np.zeros((5, 10, 3))).shape
        (5, 10, 32)
        """
        samples = self._inputs("x", x, lengths)
        columns = self._weights.directions * self.hidden_size
        rows, starts, result = self._steps_of(samples, x, columns)
        self._run("x", samples, h0, threads, states=rows, starts=starts)
        return result

    @property
    def _cells(self) -> int:
        return self.num_layers * self._weights.directions

    def _inputs(self, name: str, x: object, lengths: object) -> Samples:
        samples = _samples.inputs(name, x, self.input_size, tokens=self.tokens, lengths=lengths)
        if self.tokens:
            _samples.check(name, samples, self.dtype, low=0, high=self.input_size - 1)
        return samples

    def _steps_of(
        self, samples: Samples, x: object, columns: int
    ) -> tuple[Array, Array | None, Any]:
        """Memory for every step: its rows, the first row of each sample, and the result."""
        if isinstance(x, Sequences):
            rows = np.empty((samples.elements, columns), self.dtype)
            starts = np.cumsum(x.lengths) - x.lengths
            return rows, starts, Sequences(rows, starts, x.lengths)
        count, steps = samples.array.shape[:2]
        whole = np.zeros if samples.lengths is not None else np.empty
        array = whole((count, steps, columns), self.dtype)
        return array.reshape(-1, columns), np.arange(count, dtype=np.int64) * steps, array

    def _run(
        self, name: str, samples: Samples, h0: object, threads: int | None, **wanted: Any
    ) -> None:
        """Fill the arrays in `wanted`; see ``_cell.Prediction``."""
        count = len(samples)
        state = _samples.initial_state("h0", h0, self._cells, count, self.hidden_size, self.dtype)
        order = None
        if samples.lengths is not None:
            order = np.argsort(-samples.lengths, kind="stable").astype(np.int64, copy=False)
        chosen = _threads.choose(threads, samples.elements * self._weights.work, -(-count // 12))
        job = _cell.Prediction(
            self._weights, samples, chosen, every=self._every, order=order, h0=state, **wanted
        )
        with _cell.Crew(chosen) as crew:
            crew.run(job)
        bad = job.end()
        if bad is not None:
            raise _arguments.not_finite(name, bad, self.dtype)

    def loss(
        self,
        x: ArrayLike | Sequences,
        y: ArrayLike | Sequences,
        loss: str | losses.Loss = "mse",
        *,
        lengths: ArrayLike | None = None,
        h0: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        missing: str = "error",
        threads: int | None = None,
    ) -> float:
        """Compute the loss of ``predict(x)`` for all samples as one batch, without dropout.

        Parameters
        ----------
        x, lengths, h0, threads
            As in ``predict``.
        y : array_like, shape (N, O), or (N,) when O is 1
            Targets. With ``output="all"``: (N, T, O), or Sequences of the same lengths. For the
            cross entropy: integers, (N,) or (N, T).
        loss : str or a loss of ``crnn.losses``, default "mse"
        sample_weight : array_like, shape (N,), optional
            Weights of the samples, at least 0. They are scaled to mean 1.
        missing : {"error", "ignore"}, default "error"
            With "ignore", missing targets are left out: NaN, or classes below 0.

        Returns
        -------
        loss : float
            Sum of weight times loss over the valid elements, divided by their number.

        Raises
        ------
        TypeError, ValueError
            As ``predict``, and if no target is valid.
        """
        from crnn import losses  # so that import crnn is fast

        chosen = losses.named("loss", loss, self.output_size)
        samples = self._inputs("x", x, lengths)
        wanted = self._targets("y", y, samples, chosen, missing)
        weight = _samples.sample_weight("sample_weight", sample_weight, len(samples))
        self._batches(samples, wanted, chosen, len(samples), samples.steps, missing, weight)
        predicted, targets, weights = self._evaluated(samples, wanted, weight, h0, threads)
        return self._mean_loss(predicted, targets, chosen, weights)

    def _evaluated(
        self,
        samples: Samples,
        wanted: Samples,
        weight: Array | None,
        h0: object,
        threads: int | None,
    ) -> tuple[Array, Array, Array | None]:
        """Outputs, targets and weights, with one row for each output."""
        steps = np.full(len(samples), samples.steps) if samples.lengths is None else samples.lengths
        count = samples.elements if self._every else len(samples)
        predicted = np.empty((count, self.output_size), self.dtype)
        starts = np.cumsum(steps) - steps if self._every else None
        self._run("x", samples, h0, threads, y=predicted, starts=starts)
        if weight is not None and self._every:
            weight = np.repeat(weight, steps)
        return predicted, _samples.rows(wanted, self.dtype), weight

    @staticmethod
    def _mean_loss(
        predicted: Array, targets: Array, loss: losses.Loss, weight: Array | None
    ) -> float:
        total, valid = _cell.loss_of(predicted, targets, loss, weight)
        return total / valid if valid else float("nan")

    def gradients(
        self,
        x: ArrayLike | Sequences,
        y: ArrayLike | Sequences,
        loss: str | losses.Loss = "mse",
        *,
        lengths: ArrayLike | None = None,
        h0: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        missing: str = "error",
        threads: int | None = None,
        out: Gradients | None = None,
    ) -> tuple[float, Gradients]:
        """Compute the loss of all samples as one batch, and its exact, unclipped gradient.

        Back-propagation through time [1]_. For each layer, with the letters of `RNN`, where dw is
        the gradient of w and ' the transpose::

            da_t = dh_t * (1 - h_t^2),  dh_{t-1} = da_t Wh'
            dWx = sum_t x_t' da_t,  dWh = sum_t h_{t-1}' da_t,  db = sum_t da_t

        Parameters
        ----------
        x, y, loss, lengths, h0, sample_weight, missing, threads
            As in ``loss``.
        out : Gradients, optional
            The gradients of an earlier call. Its arrays are overwritten and returned. If the shapes
            are the same, its memory for activations is used again.

        Returns
        -------
        loss : float
        gradients : Gradients
            A dict with an array for every parameter, by parameter name.

        References
        ----------
        .. [1] P. J. Werbos, "Backpropagation through time: what it does and how to do it",
           Proceedings of the IEEE 78(10), 1990, https://doi.org/10.1109/5.58337.

        Examples
        --------
        >>> import crnn, numpy as np
        >>> model = crnn.RNN(1, 4, 1, dtype="float64", seed=0)
        >>> loss, gradients = model.gradients(np.ones((2, 3)), np.zeros(2))
        >>> sorted(gradients)
        ['Wh_l0', 'Wx_l0', 'Wy', 'b_l0', 'by']
        """
        from crnn import losses  # so that import crnn is fast

        chosen = losses.named("loss", loss, self.output_size)
        samples = self._inputs("x", x, lengths)
        _samples.check("x", samples, self.dtype)
        wanted = self._targets("y", y, samples, chosen, missing)
        weight = _samples.sample_weight("sample_weight", sample_weight, len(samples))
        state = _samples.initial_state(
            "h0", h0, self._cells, len(samples), self.hidden_size, self.dtype
        )
        batches = self._batches(
            samples, wanted, chosen, len(samples), samples.steps, missing, weight
        )
        order = batches.order(None, None)
        plan = batches.plan(order)
        count = len(samples)
        shards = _cell.shards(count, self.hidden_size)
        used = _threads.choose(threads, 3 * samples.elements * self._weights.work, shards)
        if out is not None and not isinstance(out, Gradients):
            raise TypeError(f"out must be what gradients returned, got {type(out).__name__}")
        key = (
            *(id(self._weights), used, chosen, self._every, count, samples.steps),
            *(given is None for given in (samples.lengths, weight, state)),
        )
        if out is not None and out._key == key:
            batch = out._batch
            batch.rebind(samples, wanted, weight, state)
        else:
            batch = _cell.Training(
                self._weights,
                samples,
                wanted,
                count,
                used,
                optimizer=None,
                loss=chosen,
                every=self._every,
                sample_weight=weight,
                h0=state,
            )
        batch.begin_epoch(plan, order)
        with _cell.Crew(used) as crew:
            crew.run(batch)
        value = batch.end_epoch()[0]
        found = Gradients() if out is None else out
        found._batch, found._key = batch, key
        for name, array in batch.gradient.items():
            if name in found and found[name].shape == array.shape:
                found[name][...] = array
            else:
                found[name] = array.copy()
        return value, found

    def _targets(
        self, name: str, y: object, samples: Samples, loss: losses.Loss, missing: str
    ) -> Samples:
        """Check the targets of the samples."""
        ignore = _arguments.choice("missing", missing, _samples.MISSING) == "ignore"
        classes = loss.classes
        wanted = _samples.targets(
            name, y, samples, self.output_size, every=self._every, classes=classes
        )
        self._check_targets(name, wanted, loss, ignore=ignore)
        return wanted

    def _check_targets(
        self, name: str, wanted: Samples, loss: losses.Loss, *, ignore: bool
    ) -> None:
        low, high = -np.inf, np.inf
        if loss.classes:
            low, high = -np.inf if ignore else 0, self.output_size - 1
        elif loss.probabilities:
            low, high = 0, 1
        _samples.check(name, wanted, self.dtype, low=low, high=high, missing=ignore)

    def _batches(
        self,
        samples: Samples,
        wanted: Samples,
        loss: losses.Loss,
        batch_size: int,
        chunk: int,
        missing: str,
        weight: Array | None,
    ) -> _batches.Batches:
        valid = _batches.valid_elements(
            samples,
            wanted,
            1 if loss.classes else self.output_size,
            chunk,
            every=self._every,
            missing=missing == "ignore",
            classes=loss.classes,
        )
        weighted = None if weight is None else weight > 0
        if not (valid if weighted is None or len(valid) == 1 else valid[weighted]).any():
            raise ValueError(
                "y must have a target that is not missing and has a weight above 0, got none"
            )
        return _batches.Batches(
            len(samples),
            batch_size,
            valid,
            chunk,
            lengths=samples.lengths,
            weighted=weighted,
        )

    def stream(self, batch_size: int = 1) -> Stream:
        """Run the network one step at a time. The stream keeps the weights of this moment.

        Parameters
        ----------
        batch_size : int, default 1
            Number of sequences that are stepped together. Each has its own state.

        Raises
        ------
        ValueError
            If the network is bidirectional: its backward direction starts at the last step.

        Examples
        --------
        >>> import crnn, numpy as np
        >>> model = crnn.RNN(1, 8, 1, seed=0)
        >>> x = np.sin(np.arange(20.0))
        >>> stream = model.stream()
        >>> for value in x:
        ...     y_t = stream.step(value)
        >>> bool(y_t == model.predict(x.reshape(1, -1)))
        True
        """
        if self.bidirectional:
            raise ValueError(
                "a bidirectional network cannot stream: its backward direction starts at the last "
                "step, which a stream does not know"
            )
        weights = self._weights.like()
        weights.load(self._weights.arrays)
        return Stream(weights, _arguments.integer("batch_size", batch_size))

    # ---- files ----

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS} | {"dtype": self.dtype.name}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the network to one safetensors file with a SHA-256, completely or not at all.

        Examples
        --------
        >>> import crnn, os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.safetensors")
        ...     crnn.RNN(1, 4, 1, seed=0).save(path)
        ...     crnn.RNN.load(path)
        RNN(1, 4, 1, bias=True, dtype='float32', init='orthogonal', seed=0)
        """
        from crnn import storage

        storage.write(path, "network", self.state_dict(), self._settings())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RNN:
        """Load a network that ``save`` wrote.

        Raises
        ------
        ValueError
            If the file is damaged, foreign, of another kind or of a newer format.
        OSError
            If it cannot be read.
        """
        from crnn import storage

        arrays, settings = storage.read(path, "network")
        try:
            return cls._restored(arrays, settings)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{os.fspath(path)} is not a valid network: {error}") from error

    @classmethod
    def _restored(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any]) -> RNN:
        given = {**DEFAULTS, **{name: settings.get(name) for name in SIZES}}
        given.update({name: settings[name] for name in given.keys() & settings.keys()})
        if given["bias"] is None:
            raise TypeError("bias must be True or False, got None")
        _arguments.choice("dtype", given["dtype"], ("float32", "float64"))
        # check that the arrays have these sizes, so that a file cannot cause a large allocation
        inputs, hidden, outputs = (_arguments.integer(name, given[name]) for name in SIZES)
        layers = _arguments.integer("num_layers", given["num_layers"])
        directions = 1 + _arguments.boolean("bidirectional", given["bidirectional"])
        if layers > len(arrays):
            raise ValueError(f"num_layers is {layers}, but there are {len(arrays)} arrays")
        shapes = {"Wy": (directions * hidden, outputs)}
        for layer in range(layers):
            for behind in ("", "_reverse")[:directions]:
                fan_in = directions * hidden if layer else inputs
                shapes[f"Wx_l{layer}{behind}"] = (fan_in, hidden)
                shapes[f"Wh_l{layer}{behind}"] = (hidden, hidden)
        for name, shape in shapes.items():
            array = arrays.get(name)
            if array is None or (array.shape, array.dtype.name) != (shape, given["dtype"]):
                raise ValueError(
                    f"{name} is not an array of shape {shape} and type {given['dtype']}"
                )
        model = cls.__new__(cls)
        model._set(given)
        model.load_state_dict(arrays)
        return model

    def __getstate__(self) -> dict[str, Any]:
        rest = {name: value for name, value in vars(self).items() if name != "_weights"}
        return {"settings": self._settings(), "arrays": self.state_dict(), "rest": rest}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(vars(RNN._restored(state["arrays"], state["settings"])))
        vars(self).update(state["rest"])


SIZES = ("input_size", "hidden_size", "output_size")
# Settings that files of version 0.1 lack, with the values of that version.
DEFAULTS: dict[str, Any] = {
    "num_layers": 1,
    "bidirectional": False,
    "nonlinearity": "tanh",
    "output": "last",
    "tokens": False,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "bias": None,
    "dtype": None,
    "init": None,
    "seed": None,
}
SETTINGS = (*SIZES, *DEFAULTS)


def _float_type(name: str, value: object) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(value)  # type: ignore[call-overload]
    except TypeError:
        raise TypeError(f"{name} must be float32 or float64, got {value!r}") from None
    if value is None or dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} must be float32 or float64, got {value!r}")
    return np.dtype(dtype.type)
