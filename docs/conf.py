"""Settings of the documentation; build it with `make docs`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "extensions")]

project = "umss"
author = "The umss authors"
copyright = "the umss authors, MIT licence"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "configuration",
    "docstrings",
    "soft_references",
]
exclude_patterns = ["_build", "figures/README.md"]
nitpicky = True
# What other packages define; their inventories are not fetched, so that the build needs no network.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(abc|torch|numpy|np|pandas|pathlib|collections|types|typing|numbers|matplotlib|omegaconf"
        r"|pytorch_lightning|soundfile|functools|os)(\..*)?",
    ),
    (r"py:.*", r"(Tensor|NDArray|ArrayLike|Path|Any|Callable|Mapping|Sequence|Iterable|Iterator)"),
    # Private aliases of types, and type variables.
    (r"py:.*", r"(.*\.)?(_\w+|Model|Trained|Spectrogram)"),
]

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
autodoc_inherit_docstrings = False  # Lightning's and PyTorch's methods are theirs to explain
napoleon_numpy_docstring = False
# One bullet may name several parameters, "window, hop: samples".
napoleon_use_param = False
napoleon_custom_sections = ["Shape", ("Attributes", "params_style")]
# `name` in a docstring becomes a link where this documentation has the name (soft_references.py).
default_role = "soft"

highlight_language = "none"
html_theme = "furo"
html_title = f"umss {release}"
html_static_path = ["_static"]
html_css_files = ["umss.css"]
html_show_sourcelink = False
html_copy_source = False
templates_path: list[str] = []
html_theme_options = {
    "sidebar_hide_name": False,
    "light_css_variables": {
        "color-brand-primary": "#1f5f8b",
        "color-brand-content": "#1f5f8b",
    },
    "dark_css_variables": {
        "color-brand-primary": "#8ecae6",
        "color-brand-content": "#8ecae6",
    },
}

# Tables beside the experiments are linked where they lie, and are pages of the site.
RESULTS = {
    "experiments/quality/README.md": "results/quality.md",
    "experiments/quality/RESULTS.md": "results/quality_table.md",
    "experiments/real/README.md": "results/real.md",
    "experiments/real/RESULTS.md": "results/real_table.md",
    "experiments/f0/RESULTS.md": "results/f0_table.md",
    "experiments/deviations/RESULTS.md": "results/deviations_table.md",
    "experiments/bench/README.md": "results/benchmarks.md",
}
# Files at the top of the repository that are pages of the site, too.
TOP = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}


def link_pages(app: Any, page: str, source: list[str]) -> None:
    """Links to files that are pages of the site lead to these pages."""
    up = "../" * page.count("/")
    for path, target in {**RESULTS, **TOP}.items():
        source[0] = source[0].replace(f"](../{up}{path}", f"]({up or './'}{target}")


def link_included(app: Any, path: Path, page: str, source: list[str]) -> None:
    """Links in an included file, written from the top of the repository."""
    source[0] = source[0].replace("](docs/", "](./").replace("](conf)", "](configuration/index.md)")


def setup(app: Any) -> None:
    app.connect("source-read", link_pages)
    app.connect("include-read", link_included)
