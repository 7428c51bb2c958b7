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
    """Gradients by the parameter's name, and the memory in which they were computed.

    What ``RNN.gradients`` returns, and takes again as ``out``. A copy is a plain dict.
    """

    _batch: Any = None
    _key: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class RNN:
    r"""An Elman recurrent network with a linear output layer, as ``torch.nn.RNN`` and a Linear.

    For every timestep t of a layer, in the row-vector convention::

        h_t = tanh(x_t Wx + h_{t-1} Wh + b),   h_0 = 0
        y_t = h_t Wy + by

    Wx, Wh and b of layer k are the parameters Wx_lk, Wh_lk and b_lk, counted from 0.
    x_t of the second layer is h_t of the first, and so on. With two directions a second set of
    cells runs through each sequence from its end, and the layer above reads the states of both,
    forward first; their parameters end in _reverse.

    Letters: N samples, T timesteps, I inputs, H hidden units, O outputs, L layers, D directions.
    Wx, Wh, b, Wy and by are the letters of all equations in this package.

    A network learns from numbers of about the size of its states, which are between -1 and 1. Scale
    inputs and targets to mean 0 and standard deviation 1.

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
        Rate at which `fit` drops states on their way from one layer to the next, each unit and step
        by itself; what stays is multiplied by 1 / (1 - rate).
    recurrent_dropout : float, default 0.0
        Rate at which `fit` drops units of h_{t-1}, the same units at all steps of a sequence [3]_.
    bias : bool, default True
        Whether there are b and by.
    dtype : {"float32", "float64"}, default "float32"
        Type of parameters, arithmetic and outputs.
    init : {"orthogonal", "notebook"}, default "orthogonal"
        "orthogonal": Wx and Wy Glorot uniform [1]_ (with `tokens` a fan-in of 1), Wh with
        orthonormal rows [2]_, b and by zero. "notebook": every weight drawn from N(0, 0.01^2), b
        and by zero.
    seed : int, optional
        The same seed gives the same network on every machine (with "notebook", on every machine
        whose C library has the same logarithm). None draws one from the system, and keeps it.

    Attributes
    ----------
    input_size, hidden_size, output_size, num_layers, bidirectional, nonlinearity, output, tokens
        As given; they cannot be set.
    dropout, recurrent_dropout, bias, dtype
        As given, dtype as a NumPy dtype; they cannot be set.
    init, seed
        As given.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what it got and what it takes.

    Warns
    -----
    UserWarning
        If `dropout` is given with one layer, where there is nothing to drop.

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
                f"dropout is between layers and does nothing in a network of one, got {dropout}; "
                "recurrent_dropout drops inside a layer",
                UserWarning,
                stacklevel=2,
            )
        self._initialise()

    def _set(self, given: Mapping[str, Any]) -> None:
        """Take the settings, each checked, and make the weights, all zero."""
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
        most = 1 << (
            24 if dtype == np.float32 else 53
        )  # a token goes through a number of this type
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
                # uniform numbers are the generator's bits and a multiplication: the same anywhere
                basis = random.uniform(-1, 1, (rows, columns))
                _cell.orthonormalise(basis)
                array[...] = basis
            else:
                fan_in = 1 if self.tokens and name.startswith("Wx_l0") else rows
                bound = (6 / (fan_in + columns)) ** 0.5
                array[...] = random.uniform(-bound, bound, (rows, columns))

    # ---- what it is ----

    @property
    def input_size(self) -> int:
        """I, features of x_t, or different tokens."""
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
        """Function of a cell's sum, "tanh" or "relu"."""
        return "relu" if self._weights.relu else "tanh"

    @property
    def output(self) -> str:
        """When there are outputs: after the "last" step, or at "all" steps."""
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
        """Whether there are b and by."""
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
        """Live arrays by name: writing into one changes the network.

        Returns
        -------
        dict
            Wx_l0 (I, H), Wh_l0 (H, H), b_l0 (H,), Wy (D H, O), by (O,); Wx_l1 (D H, H) and so on
            for more layers; names that end in "_reverse" for the backward direction. Without the
            biases when ``bias`` is False. Rows are padded in memory: use ``state_dict`` for
            contiguous copies.
        """
        return {name: array.view() for name, array in self._weights.arrays.items()}

    def state_dict(self) -> dict[str, Array]:
        """Contiguous copies of the parameters by name."""
        return {name: array.copy() for name, array in self._weights.arrays.items()}

    def load_state_dict(self, state_dict: Mapping[str, ArrayLike]) -> None:
        """Copy parameters in, all or none.

        Raises
        ------
        TypeError
            If ``state_dict`` is no mapping, or an array does not hold real numbers.
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
        """Outputs for every sample.

        Row i has the same bits whatever rows stand beside it and however many threads run.

        Parameters
        ----------
        x : array_like, shape (N, T, I), or (N, T) when I is 1; or Sequences
            Any strides, byte order and real type; read where it lies, converted on the way. With
            ``tokens`` integers, (N, T).
        lengths : array_like of int, shape (N,), optional
            Steps of each sample, from 1 to T. What lies past them is not looked at.
        h0 : array_like, shape (L D, N, H), optional
            States before the first steps, as ``torch.nn.RNN`` takes them; (N, H) when L D is 1.
            None: zeros.
        return_state : bool, default False
            Whether to return the last states too.
        threads : int, optional
            At most so many threads; None takes the processors that this process may use. Small
            work stays on one.

        Returns
        -------
        y : ndarray, shape (N, O); with ``output="all"`` (N, T, O), zeros past the lengths
            Of Sequences with ``output="all"``: Sequences over one array (total steps, O).
        h_n : ndarray, shape (L D, N, H)
            With `return_state`: every cell's state after its last step.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or shape, or a number that is not finite.

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
        """States of the last layer at every step, the forward direction's first.

        Parameters
        ----------
        x, lengths, h0, threads
            As in ``predict``.

        Returns
        -------
        states : ndarray, shape (N, T, D H), zeros past the lengths
            Of Sequences: Sequences over one array (total steps, D H). Both directions are in time
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
        """Room for every step: its rows, where each sample's begin, and what is returned."""
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
        """Fill the arrays that are wanted; see ``_cell.Prediction``."""
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
        """The loss of ``predict(x)`` against y, over all samples as one batch. Nothing is dropped.

        Parameters
        ----------
        x, lengths, h0, threads
            As in ``predict``.
        y : array_like, shape (N, O), or (N,) when O is 1
            Targets. With ``output="all"``: (N, T, O), or Sequences of the same lengths. For
            the cross entropy integers, (N,) or (N, T).
        loss : str or a loss of ``crnn.losses``, default "mse"
        sample_weight : array_like, shape (N,), optional
            Weights of the samples, at least 0; scaled to mean 1.
        missing : {"error", "ignore"}, default "error"
            "ignore": targets that are NaN (classes below 0) are left out.

        Returns
        -------
        loss : float
            Sum over the valid elements of weight times loss, over their number.

        Raises
        ------
        TypeError, ValueError
            As ``predict``, and if no target is valid.
        """
        from crnn import losses  # import crnn need not wait for what training alone uses

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
        """A row for each output that there is: outputs, targets, weights."""
        steps = np.full(len(samples), samples.steps) if samples.lengths is None else samples.lengths
        count = samples.elements if self._every else len(samples)
        predicted = np.empty((count, self.output_size), self.dtype)
        starts = np.cumsum(steps) - steps if self._every else None
        self._run("x", samples, h0, threads, y=predicted, starts=starts)
        if weight is not None and self._every:
            weight = np.repeat(weight, steps)
        targets = np.ascontiguousarray(_samples.rows(wanted, self.dtype))
        return predicted, targets, weight

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
        """The loss of all samples as one batch, and its exact, unclipped gradient.

        Back-propagation through time [1]_: with da_t = dh_t * (1 - h_t^2)::

            dWx = sum_t x_t' da_t,  dWh = sum_t h_{t-1}' da_t,  dh_{t-1} = da_t Wh'.

        Parameters
        ----------
        x, y, loss, lengths, h0, sample_weight, missing, threads
            As in ``loss``.
        out : Gradients, optional
            What an earlier call returned: its arrays are written over and returned, and where the
            shapes are the same its memory for activations is used again.

        Returns
        -------
        loss : float
        gradients : Gradients
            A dict with an array for every parameter, by the parameter's name.

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
        from crnn import losses  # import crnn need not wait for what training alone uses

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
        """Targets of the samples, checked."""
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
            raise ValueError("y must have a target that is there and has a weight, got none")
        return _batches.Batches(
            len(samples),
            batch_size,
            valid,
            chunk,
            lengths=samples.lengths,
            weighted=weighted,
        )

    def stream(self, batch_size: int = 1) -> Stream:
        """A network run one step at a time, with the weights of this moment.

        Parameters
        ----------
        batch_size : int, default 1
            Sequences side by side, each with a state of its own.

        Raises
        ------
        ValueError
            If the network is bidirectional: its backward direction begins with the last step.

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
                "a bidirectional network cannot stream: its backward direction begins with the "
                "last step, which a stream has not seen"
            )
        weights = self._weights.like()
        weights.load(self._weights.arrays)
        return Stream(weights, _arguments.integer("batch_size", batch_size))

    # ---- files ----

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS} | {"dtype": self.dtype.name}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network into one safetensors file with a digest, whole or not at all.

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
        """Read a network that ``save`` wrote.

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
        # the arrays have these sizes, so that none is made because a file claims it
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
# What a file of version 0.1 does not say has the value that 0.1 had.
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
