"""The error for a missing package that only a part of crnn needs."""

from __future__ import annotations


def missing_package(purpose: str, package: str, error: ImportError) -> ImportError:
    """Make the error that says what to install.

    Parameters
    ----------
    purpose : str
        What needs the package.
    package : str
        The package's name, as ``pip install`` takes it.
    error : ImportError
        What importing it raised.

    Returns
    -------
    ImportError
        Raise it from `error`. It names the package and not an extra of crnn, because crnn is not
        on PyPI.

    Examples
    --------
    >>> from crnn._extras import missing_package
    >>> missing_package("drawing", "matplotlib", ImportError("No module named 'matplotlib'"))
    ImportError("drawing needs matplotlib: pip install matplotlib (No module named 'matplotlib')")
    """
    words = f"{purpose} needs {package}: pip install {package} ({error})"
    return ImportError(words, name=error.name)
