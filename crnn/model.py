"""RNN: parameters, initialisation, predict, loss, gradients, stream."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from crnn import _arguments, _cell, _threads
from crnn._arguments import Array
from crnn._cell import Stream

INITS = ("orthogonal", "notebook")
LOSSES = ("mse",)


class RNN:
    r"""A tanh (Elman) recurrent network with a linear output behind its last step.

    For every timestep t, and at the end, in the row-vector convention:

        h_t = tanh(x_t Wx + h_{t-1} Wh + b),   h_0 = 0
        y   = h_T Wy + by

    Parameters
    ----------
    input_size : int
        I, features of x_t.
    hidden_size : int
        H, hidden units.
    output_size : int
        O, outputs.
    bias : bool, default True
        Whether there are b and by.
    dtype : {"float32", "float64"}, default "float32"
        Type of parameters, arithmetic and outputs.
    init : {"orthogonal", "notebook"}, default "orthogonal"
        "orthogonal": Wx and Wy Glorot uniform [1]_, Wh with orthonormal rows [2]_, b and by zero.
        "notebook": every weight drawn from N(0, 0.01^2), b and by zero.
    seed : int, optional
        The same seed gives the same network on every machine (with "notebook", on every machine
        whose C library has the same logarithm). None draws one from the system.

    Attributes
    ----------
    input_size, hidden_size, output_size, bias, dtype
        As given, dtype as a NumPy dtype; they cannot be set.
    init, seed
        As given.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what it got and what it takes.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.
    .. [2] A. M. Saxe, J. L. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of
       learning in deep linear neural networks", ICLR 2014, https://arxiv.org/abs/1312.6120.
       The rows of a matrix with entries uniform in [-1, 1) are made orthonormal.

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
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        bias: bool = True,
        dtype: DTypeLike = "float32",
        init: str = "orthogonal",
        seed: int | None = None,
    ) -> None:
        sizes = (
            _arguments.integer("input_size", input_size),
            _arguments.integer("hidden_size", hidden_size),
            _arguments.integer("output_size", output_size),
        )
        self._weights = _cell.Weights(
            *sizes, _arguments.boolean("bias", bias), _float_type("dtype", dtype)
        )
        self.init = _arguments.choice("init", init, INITS)
        self.seed = _arguments.seed("seed", seed)
        self._initialise()

    def __repr__(self) -> str:
        return (
            f"RNN({self.input_size}, {self.hidden_size}, {self.output_size}, bias={self.bias}, "
            f"dtype={self.dtype.name!r}, init={self.init!r}, seed={self.seed})"
        )

    def _initialise(self) -> None:
        random = np.random.default_rng(self.seed)
        arrays = self._weights.arrays
        for name in ("Wx_l0", "Wh_l0", "Wy"):
            rows, columns = arrays[name].shape
            if self.init == "notebook":
                arrays[name][...] = random.standard_normal((rows, columns)) * 0.01
            elif name == "Wh_l0":
                # uniform numbers are the generator's bits and a multiplication: the same anywhere
                basis = random.uniform(-1, 1, (rows, columns))
                _cell.orthonormalise(basis)
                arrays[name][...] = basis
            else:
                bound = (6 / (rows + columns)) ** 0.5
                arrays[name][...] = random.uniform(-bound, bound, (rows, columns))

    # ---- what it is ----

    @property
    def input_size(self) -> int:
        """I, features of x_t."""
        return self._weights.input_size

    @property
    def hidden_size(self) -> int:
        """H, hidden units."""
        return self._weights.hidden_size

    @property
    def output_size(self) -> int:
        """O, outputs."""
        return self._weights.output_size

    @property
    def bias(self) -> bool:
        """Whether there are b and by."""
        return self._weights.bias

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of parameters, arithmetic and outputs."""
        return self._weights.dtype

    # ---- parameters ----

    def parameters(self) -> dict[str, Array]:
        """Live arrays by name: writing into one changes the network.

        Returns
        -------
        dict
            Wx_l0 (I, H), Wh_l0 (H, H), b_l0 (H,), Wy (H, O), by (O,); without the biases when
            ``bias`` is False. Rows are padded in memory: use ``state_dict`` for contiguous copies.
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
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"state_dict must be a mapping, got {type(state_dict).__name__}")
        arrays = self._weights.arrays
        missing = sorted(set(arrays) - set(state_dict))
        unknown = sorted(str(name) for name in set(state_dict) - set(arrays))
        if missing or unknown:
            raise ValueError(
                f"state_dict must have exactly {sorted(arrays)}; "
                f"missing {missing}, not known {unknown}"
            )
        checked = {}
        for name, array in arrays.items():
            given = _arguments.numeric(f"state_dict[{name!r}]", state_dict[name])
            if given.shape != array.shape:
                raise ValueError(
                    f"state_dict[{name!r}] must have shape {array.shape}, got {given.shape}"
                )
            with np.errstate(over="ignore"):
                converted = given.astype(self.dtype)
            if not np.isfinite(converted).all():
                raise ValueError(f"state_dict[{name!r}] must be finite in {self.dtype}")
            checked[name] = converted
        self._weights.load(checked)

    # ---- running ----

    def predict(self, x: ArrayLike, *, threads: int | None = None) -> Array:
        """Outputs for every sample.

        Row i has the same bits whatever rows stand beside it and however many threads run.

        Parameters
        ----------
        x : array_like, shape (N, T, I), or (N, T) when I is 1
            Any strides, byte order and real type; read as it lies, converted on the way.
        threads : int, optional
            At most so many threads; None takes the processors that this process may use. Small
            work stays on one.

        Returns
        -------
        y : ndarray, shape (N, O)

        Raises
        ------
        TypeError, ValueError
            If x has the wrong type or shape, or a number that is not finite.

        Examples
        --------
        >>> import crnn, numpy as np
        >>> crnn.RNN(3, 16, 2, seed=0).predict(np.zeros((5, 10, 3))).shape
        (5, 2)
        """
        samples = _arguments.inputs("x", x, self.input_size)
        count, steps = samples.shape[:2]
        work = count * steps * self.hidden_size * (self.hidden_size + self.input_size)
        chosen = _threads.choose(threads, work, pieces=-(-count // 12))
        y = np.empty((count, self.output_size), self.dtype)
        job = _cell.Prediction(self._weights, samples, y, chosen)
        with _cell.Crew(chosen) as crew:
            crew.run(job)
        bad = job.end()
        if bad is not None:
            raise _arguments.not_finite("x", bad, self.dtype)
        return y

    def loss(
        self, x: ArrayLike, y: ArrayLike, loss: str = "mse", *, threads: int | None = None
    ) -> float:
        """Mean over samples and outputs of the squared error of ``predict(x)`` against y.

        Parameters
        ----------
        x, y : array_like
            Shapes (N, T, I) and (N, O); (N, T) for one input and (N,) for one output.
        loss : {"mse"}
            Which loss.
        threads : int, optional
            As in ``predict``.
        """
        _arguments.choice("loss", loss, LOSSES)
        samples = _arguments.inputs("x", x, self.input_size)
        wanted = _arguments.targets("y", y, len(samples), self.output_size)
        check_finite("y", wanted, self.dtype)
        predicted = self.predict(samples, threads=threads).astype(np.float64)
        with np.errstate(over="ignore"):  # an infinite loss is a number, not a warning
            return float(np.mean((predicted - wanted.astype(self.dtype)) ** 2))

    def gradients(
        self, x: ArrayLike, y: ArrayLike, loss: str = "mse"
    ) -> tuple[float, dict[str, Array]]:
        """The loss of all samples as one batch, and its exact, unclipped gradient.

        Back-propagation through time [1]_: with da_t = dh_t * (1 - h_t^2),

            dWx = sum_t x_t' da_t,  dWh = sum_t h_{t-1}' da_t,  dh_{t-1} = da_t Wh'.

        Parameters
        ----------
        x, y : array_like
            As in ``loss``.
        loss : {"mse"}
            Which loss.

        Returns
        -------
        loss : float
        gradients : dict
            An array for every parameter, by the parameter's name.

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
        _arguments.choice("loss", loss, LOSSES)
        samples = _arguments.inputs("x", x, self.input_size)
        wanted = _arguments.targets("y", y, len(samples), self.output_size)
        check_finite("x", samples, self.dtype)
        check_finite("y", wanted, self.dtype)
        batch = _cell.Training(self._weights, samples, wanted, len(samples), 1, optimizer=None)
        batch.begin_epoch()
        _cell.Crew(1).run(batch)
        value = batch.end_epoch()[0] / len(samples)
        return value, {name: array.copy() for name, array in batch.gradient.items()}

    def stream(self, batch_size: int = 1) -> Stream:
        """A network run one step at a time, with the weights of this moment.

        Parameters
        ----------
        batch_size : int, default 1
            Sequences side by side, each with a state of its own.

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
        weights = _cell.Weights(
            self.input_size, self.hidden_size, self.output_size, self.bias, self.dtype
        )
        weights.load(self._weights.arrays)
        return Stream(weights, _arguments.integer("batch_size", batch_size))

    # ---- files ----

    def _settings(self) -> dict[str, Any]:
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "output_size": self.output_size,
            "bias": self.bias,
            "dtype": self.dtype.name,
            "init": self.init,
            "seed": self.seed,
        }

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
        sizes = ("input_size", "hidden_size", "output_size")
        inputs, hidden, outputs = (_arguments.integer(name, settings.get(name)) for name in sizes)
        dtype = np.dtype(_arguments.choice("dtype", settings.get("dtype"), ("float32", "float64")))
        bias = _arguments.boolean("bias", settings.get("bias"))
        # the arrays have these sizes, so that none is made because a file claims it
        shapes = {"Wx_l0": (inputs, hidden), "Wh_l0": (hidden, hidden), "Wy": (hidden, outputs)}
        for name, shape in shapes.items():
            array = arrays.get(name)
            if array is None or (array.shape, array.dtype) != (shape, dtype):
                raise ValueError(f"{name} is not an array of shape {shape} and type {dtype}")
        model = cls.__new__(cls)
        model._weights = _cell.Weights(inputs, hidden, outputs, bias, dtype)
        model.init = _arguments.choice("init", settings.get("init"), INITS)
        model.seed = _arguments.seed("seed", settings.get("seed"))
        model.load_state_dict(arrays)
        return model

    def __getstate__(self) -> dict[str, Any]:
        rest = {name: value for name, value in vars(self).items() if name != "_weights"}
        return {"settings": self._settings(), "arrays": self.state_dict(), "rest": rest}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._weights = RNN._restored(state["arrays"], state["settings"])._weights
        vars(self).update(state["rest"])


def check_finite(name: str, array: Array, dtype: np.dtype[Any]) -> None:
    """Every number of the view (N, ..., F) is finite, also once it is converted to dtype."""
    cube = array if array.ndim == 3 else array[:, None, :]
    count, steps = cube.shape[:2]
    if count > 1 and cube.strides[0] == cube.strides[1]:
        # windows one step apart: the first steps of all and then the last window are the series,
        # and a point of it stands first in the window that ends with it
        point = _cell.first_not_finite(cube[:, :1], dtype)
        if point is None:
            point = _cell.first_not_finite(cube[-1][:, None], dtype)
            point = None if point is None else count - 1 + point
        bad = None if point is None else max(0, point - steps + 1)
    else:
        bad = _cell.first_not_finite(cube, dtype)
    if bad is not None:
        raise _arguments.not_finite(name, bad, dtype)


def _float_type(name: str, value: object) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(value)  # type: ignore[call-overload]
    except TypeError:
        raise TypeError(f"{name} must be float32 or float64, got {value!r}") from None
    if value is None or dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} must be float32 or float64, got {value!r}")
    return np.dtype(dtype.type)
