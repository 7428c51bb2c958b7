"""Forward results from the tests of other projects: vectors.json has numbers and sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from samples import Array

from crnn import RNN

pytestmark = pytest.mark.kernel

VECTORS: dict[str, dict[str, Any]] = {
    f"{project}: {vector['name']}": vector
    for project, content in json.loads(
        Path(__file__).with_name("vectors.json").read_text(encoding="utf-8")
    ).items()
    for vector in content["vectors"]
}


def weights(vector: dict[str, Any]) -> dict[str, Array]:
    """The parameters of a vector. Without an output layer, one is added that returns the states."""
    values = {
        name: w["eye"] * np.eye(*w["shape"]) if isinstance(w, dict) else np.array(w)
        for name, w in vector["weights"].items()
    }
    states = sum(name.startswith("Wh_") for name in values) * len(values["Wh_l0"])
    head = {name: np.array(w) for name, w in vector.get("head", {}).items()}
    if not head:
        head["Wy"] = np.eye(states)
        if "b_l0" in values:
            head["by"] = np.zeros(states)
    return values | head


class Reference:
    """The reference, with the interface of the package."""

    def __init__(self, values: dict[str, Array], nonlinearity: str, output: str) -> None:
        self.values = values
        self.network = {"nonlinearity": nonlinearity, "output": output}

    def predict(self, x: Array, h0: Array | None, return_state: bool) -> tuple[Array, Array]:
        assert return_state
        done = reference.run(self.values, x, h0=h0, **self.network)
        return done.output, done.h_n


def network(kind: str, values: dict[str, Array], nonlinearity: str, output: str) -> Any:
    """A network with these parameters, of the reference or, with a dtype, of the package."""
    if kind == "reference":
        return Reference(values, nonlinearity, output)
    model = RNN(
        len(values["Wx_l0"]),
        len(values["Wh_l0"]),
        values["Wy"].shape[1],
        bidirectional="Wh_l0_reverse" in values,
        nonlinearity=nonlinearity,
        output=output,
        bias="by" in values,
        dtype=kind,
    )
    model.load_state_dict(values)
    return model


def merged(output: Array, mode: str) -> Array:
    """The two directions' halves of an output, merged as in Keras."""
    forward, backward = np.split(output, 2, axis=-1)
    return {
        "sum": forward + backward,
        "mul": forward * backward,
        "ave": (forward + backward) / 2,
    }[mode]


@pytest.mark.parametrize("kind", ["reference", "float32", "float64"])
@pytest.mark.parametrize("name", VECTORS)
def test_forward_results_of_other_projects(name: str, kind: str) -> None:
    vector = VECTORS[name]
    values, x = weights(vector), np.array(vector["x"])
    if vector.get("reverse"):
        # a backward direction alone: our forward direction over the reversed steps, which gives the
        # states in the order of processing, like the vectors
        assert vector["processing_order"]
        x = x[:, ::-1]
    if vector["kind"] == "calls":  # a few steps each, with the states of the call before
        calls = [call[np.newaxis] for call in x]
    else:
        calls = [x] * vector.get("passes", 1)
    for what, expected in vector["expected"].items():
        output = expected["of"] if what == "merge" else what
        every = "last" if output == "h_n" else output
        model = network(kind, values, vector["nonlinearity"], every)
        h_n, found = np.array(vector["h0"]) if "h0" in vector else None, []
        for call in calls:
            y, h_n = model.predict(call, h0=h_n, return_state=True)
            found.append(h_n if what == "h_n" else y)
        actual = np.concatenate(found) if vector["kind"] == "calls" else found[-1]
        if what == "merge":
            actual, expected = merged(actual, expected["mode"]), expected["value"]
        assert actual.shape == np.shape(expected)
        assert np.abs(actual - expected).max() <= vector["atol"]
