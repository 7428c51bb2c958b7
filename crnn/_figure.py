"""A figure and axes that a notebook shows as a picture.

A notebook's backend draws only the figures of pyplot, and a cell that ends in an Axes shows its
name. These two classes draw themselves when a notebook asks for a PNG. So they need no backend and
do not change the state of pyplot. `crnn.plots` imports this module when it draws.
"""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure


class PictureFigure(Figure):
    """A figure that is shown as a picture when it is the result of a notebook's cell."""

    def add_subplot(self, *args: Any, **kwargs: Any) -> Axes:
        """Add axes that are shown as a picture, unless another kind is asked for."""
        if not {"projection", "polar", "axes_class"} & set(kwargs):
            kwargs["axes_class"] = PictureAxes
        axes: Axes = super().add_subplot(*args, **kwargs)
        return axes

    def show(self, warn: bool = True) -> None:
        """Show the figure in a notebook; elsewhere as Matplotlib does."""
        ipython = sys.modules.get("IPython")  # a notebook has imported it
        if ipython is None or ipython.get_ipython() is None or self.canvas.manager is not None:
            super().show(warn)
        else:
            ipython.display.display(self)

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()


class PictureAxes(Axes):
    """Axes that are shown as their figure when they are the result of a notebook's cell."""

    def _repr_png_(self) -> bytes | None:
        figure = self.figure.figure  # of a subfigure, the whole
        return figure._repr_png_() if isinstance(figure, PictureFigure) else None
