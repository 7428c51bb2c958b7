"""The arrays and settings of a `Combination` in a file, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn import _arguments, _members
from crnn._arguments import Array
from crnn._combination import Combination
from crnn._members import Networks, Readout, Repeated
from crnn.model import RNN
from crnn.scoring import LeastSquaresAR


def described(method: Combination) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays by name, and settings that JSON can hold."""
    arrays = {
        "weights": method.weights,
        "limit": method.limit,
        "errors": np.concatenate([np.empty(0), *method.errors]),
        "error_counts": np.array([len(errors) for errors in method.errors], np.int64),
    }
    members = []  # in the order of the weights
    for name, member in method.members.items():
        settings: dict[str, Any] = {"name": name}
        if isinstance(member, LeastSquaresAR):
            arrays |= {
                "linear.weights": member.weights_,
                "linear.centre": member.centre_,
                "linear.half": member.half_,
            }
        elif isinstance(member, Networks):
            for k, model in enumerate(member.models):
                arrays |= {f"{name}{k}.{key}": a for key, a in model.state_dict().items()}
            settings |= {
                "reach": member.reach,
                "scale": member.scale,
                "spread": member.spread,
                "networks": len(member.models),
                "hidden_size": member.models[0].hidden_size,
            }
        elif isinstance(member, Readout):
            arrays[f"{name}.weights"] = member.weights
        members.append(settings)
    return arrays, {
        "members": members,
        "spread": method.spread,
        "rmse": method.rmse,
        "epochs": method.epochs,
    }


def restored(
    arrays: dict[str, Any],
    settings: dict[str, Any],
    timesteps: int,
    horizon: int,
    season: int | None,
) -> Combination:
    """The combination that `described` gave.

    Parts that do not fit raise LookupError, TypeError, ValueError, AttributeError or OverflowError.
    """
    weights, errors = floats(arrays, "weights"), floats(arrays, "errors")
    members: dict[str, Any] = {}
    for given in settings["members"]:
        name = given["name"]
        _arguments.choice("member", name, sorted(set(_members.MEMBERS) - set(members)))
        if name == _members.LINEAR:
            members[name] = _linear(arrays, timesteps, horizon)
        elif name in _members.LEVELS:
            members[name] = _networks(name, given, arrays, timesteps, horizon)
        elif name == _members.READOUT:
            members[name] = _readout(arrays, members, timesteps, horizon)
        else:
            members[name] = _repeated(name, season, timesteps, horizon)
    if weights.ndim != 2 or len(weights) != len(members) or not weights.size:
        raise ValueError(f"weights must have a row for each member, got {weights.shape}")
    if weights.min() < 0 or not np.allclose(weights.sum(axis=0), 1):
        raise ValueError("weights must be at least 0 and sum to 1")
    counts = arrays["error_counts"]
    if counts.dtype != np.int64 or counts.shape != (weights.shape[1],) or counts.min() < 0:
        raise ValueError(f"error_counts must be {weights.shape[1]} counts")
    if errors.ndim != 1 or sum(counts.tolist()) != len(errors):
        raise ValueError("error_counts must add up to the number of errors")
    by_step = np.split(errors, np.cumsum(counts)[:-1])
    if any((np.diff(e, prepend=0.0) < 0).any() for e in by_step):
        raise ValueError("errors must be at least 0 and ascend")
    limit = floats(arrays, "limit")
    if limit.ndim != 1 or not limit.size or limit.min() < 0:
        raise ValueError(f"limit must hold numbers of at least 0, got shape {limit.shape}")
    unknown = {name for name in arrays if name.split(".")[0] not in _parts(members)}
    if unknown:
        raise ValueError(f"arrays that are not known: {sorted(unknown)[:3]}")
    return Combination(
        timesteps,
        horizon,
        members,
        weights,
        by_step,
        _arguments.real("spread", settings["spread"], minimum=0),
        limit,
        {name: _arguments.real("rmse", value) for name, value in settings["rmse"].items()},
        {name: _arguments.integer("epochs", n) for name, n in settings["epochs"].items()},
    )


def floats(arrays: dict[str, Any], name: str) -> Array:
    """An array of a file, checked: finite float64 in one or two dimensions."""
    array: Array = arrays[name]
    if array.dtype != np.float64 or array.ndim not in (1, 2) or not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite float64, got {array.dtype} {array.shape}")
    return array


def _parts(members: dict[str, Any]) -> set[str]:
    """What the names of a file's arrays begin with."""
    parts = {"weights", "limit", "errors", "error_counts"}
    for name, member in members.items():
        if isinstance(member, Networks):
            parts |= {f"{name}{k}" for k in range(len(member.models))}
        else:
            parts.add(name)
    return parts


def _linear(arrays: dict[str, Any], timesteps: int, horizon: int) -> LeastSquaresAR:
    linear = LeastSquaresAR()
    linear.weights_, linear.centre_, linear.half_ = (
        floats(arrays, f"linear.{name}") for name in ("weights", "centre", "half")
    )
    linear.shape_ = (timesteps, 1)
    if linear.weights_.shape != (timesteps + 1, horizon) or linear.centre_.shape != (1,):
        raise ValueError(f"linear.weights must have shape {(timesteps + 1, horizon)}")
    if linear.half_.shape != (1,) or not linear.half_[0] > 0:
        raise ValueError("linear.half must be one number above 0")
    return linear


def _readout(
    arrays: dict[str, Any], members: dict[str, Any], timesteps: int, horizon: int
) -> Readout:
    networks = [members[level] for level in _members.LEVELS]
    units = sum(len(part.models) * part.models[0].hidden_size for part in networks)
    weights = floats(arrays, "readout.weights")
    if weights.shape != (timesteps + units, horizon):
        raise ValueError(f"readout.weights must have shape {(timesteps + units, horizon)}")
    return Readout(networks, weights)


def _repeated(name: str, season: int | None, timesteps: int, horizon: int) -> Repeated:
    if name == _members.PERSISTENCE:
        return Repeated(1, horizon)
    if season is None or season > timesteps:
        raise ValueError(f"season must be at most {timesteps} timesteps, got {season}")
    return Repeated(season, horizon)


def _networks(
    name: str, given: dict[str, Any], arrays: dict[str, Any], timesteps: int, horizon: int
) -> Networks:
    count = _arguments.integer("networks", given["networks"])
    settings = {
        "input_size": 1,
        "hidden_size": _arguments.integer("hidden_size", given["hidden_size"]),
        "output_size": horizon,
        "bias": True,
        "dtype": "float32",
        "init": "orthogonal",
        "seed": None,
    }
    models = []
    for k in range(count):
        prefix = f"{name}{k}."
        own = {key[len(prefix) :]: a for key, a in arrays.items() if key.startswith(prefix)}
        models.append(RNN._restored(own, settings))
    reach = _arguments.integer("reach", given["reach"])
    if reach > timesteps:
        raise ValueError(f"reach must be at most {timesteps} timesteps, got {reach}")
    scale = _arguments.real("scale", given["scale"], above=0)
    spread = _arguments.real("spread", given["spread"], minimum=0)
    return Networks(name, reach, scale, spread, models)
