"""The network beats the closed-form fit on the two sines of "Hands-On Machine Learning"."""

from __future__ import annotations

import numpy as np
from tolerances import LOSS_IN_FLOAT32, near
from two_sines import two_sines

from crnn import RNN, Trainer

LEAST_SQUARES = 0.00293  # on the validation part; test_scoring.py fits it


def test_the_network_beats_least_squares() -> None:
    data = two_sines()
    model = RNN(1, 64, 1, seed=42)
    history = Trainer(epochs=30, batch_size=128, learning_rate=2e-3, optimizer="adam", seed=42).fit(
        model, data.x_train, data.y_train, validation_data=(data.x_validation, data.y_validation)
    )
    # adam's validation loss changes by a tenth from epoch to epoch: take the median of the last
    # ten, not the best
    assert np.median(history.validation_loss[-10:]) < LEAST_SQUARES
    final = np.mean((model.predict(data.x_validation) - data.y_validation) ** 2)
    assert final == near(history.validation_loss[-1], LOSS_IN_FLOAT32)
    assert history.loss[-1] < history.loss[0] / 2.0
