"""Compare the speed of crnn with that of its peers in one run: `python -m bench`."""
