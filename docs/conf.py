"""Sphinx: how the documentation is built. `make docs` builds it; warnings are errors."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

import crnn

HERE = Path(__file__).parent

project = "crnn"
author = "The crnn developers"
copyright = author
version = release = crnn.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # formulas without a network
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "py:obj"  # `RNN` in a docstring is a link where there is such a name
highlight_language = "none"  # the equations in docstrings are not Python

# Pages are executed at each build, in a temporary folder, with the Matplotlib settings beside this
# file. An exception stops the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_execution_excludepatterns = ["_build/*"]
nb_merge_streams = True
# Every kernel warns that its port is not encrypted, although only this machine can reach it.
profile = HERE / "_build" / "ipython" / "profile_default"
profile.mkdir(parents=True, exist_ok=True)
(profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 'ERROR'\n")
os.environ["IPYTHONDIR"] = str(profile.parent)
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")
# One processor, so that the build takes as long everywhere and threads do not get into its way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # numpydoc's sections say it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Links into other projects' documentation need a network: CRNN_DOCS_INTERSPHINX=1 asks for them.
if os.environ.get("CRNN_DOCS_INTERSPHINX") == "1":
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }

html_theme = "pydata_sphinx_theme"
html_title = "crnn"
html_static_path = ["_static"]
html_css_files = ["crnn.css"]
html_copy_source = False
html_show_sourcelink = False
ALONE = ("index", "getting-started", "gallery", "reliability", "security", "changelog")
html_sidebars = {page: [] for page in ALONE}  # no other pages beside these
html_theme_options = {
    "logo": {"text": "crnn"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "navigation_with_keys": False,
}
# Where the sources are is known to the workflow that publishes.
if repository := os.environ.get("GITHUB_REPOSITORY"):
    html_theme_options["github_url"] = f"https://github.com/{repository}"


# Modules whose public names are public as `crnn.NAME` alone.
THROUGH_CRNN = {"__main__", "cli", "forecast", "model", "run", "storage", "trainer"}


def public_names() -> Iterator[str]:
    """Full names of all that a user may import from crnn or from one of its public modules."""
    for name in crnn.__all__:
        if not inspect.ismodule(getattr(crnn, name)):
            yield f"crnn.{name}"
    for found in pkgutil.iter_modules(crnn.__path__):
        if found.name.startswith("_") or found.name in THROUGH_CRNN:
            continue
        module = importlib.import_module(f"crnn.{found.name}")
        for name, value in vars(module).items():
            is_own = getattr(value, "__module__", None) == module.__name__ and callable(value)
            if name in getattr(module, "__all__", [name] if is_own else []) and name[0] != "_":
                yield f"{module.__name__}.{name}"


# Files of the repository that are pages too.
PAGES = {
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing/index",
    "SECURITY.md": "security",
    "bench/NOTES.md": "performance/NOTES",
    "bench/README.md": "performance/benchmark",
    "tests/RELIABILITY.md": "reliability",
}


def link_to_pages(app: Sphinx, file: Path, parent: str, content: list[str]) -> None:
    """In a file of the repository that a page includes, links go to pages."""

    def linked(match: re.Match[str]) -> str:
        target = os.path.normpath(file.parent / match["target"]).removeprefix("../")
        page = PAGES.get(target, target.removeprefix("docs/").removesuffix(".md"))
        return f"[{match['text']}](/{page}.md)"

    content[0] = re.sub(r"\[(?P<text>[^]]*)\]\((?P<target>[\w./-]+\.md)\)", linked, content[0])


def check_reference(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names that the reference does not have."""
    documented = env.domaindata["py"]["objects"]
    for name in public_names():
        if name not in documented:
            logging.getLogger(__name__).warning("the reference has no page of %s", name)


def check_lists(app: Sphinx, doctree: nodes.document) -> None:
    """Warn of lists numbered by letters: an author's initial at the start of a line makes one."""
    for found in doctree.findall(nodes.enumerated_list):
        if found["enumtype"] != "arabic":
            logging.getLogger(__name__).warning(
                "break the line: %s", found.astext(), location=found
            )


def setup(app: Sphinx) -> None:
    """Connect what Sphinx calls."""
    app.connect("include-read", link_to_pages)
    app.connect("doctree-read", check_lists)
    app.connect("env-check-consistency", check_reference)
