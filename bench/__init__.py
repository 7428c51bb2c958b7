"""Measured comparisons of crnn with its peers, side by side in one run: `python -m bench`."""
