"""Settings of the documentation; build it with `make docs`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

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
    "soft_references",
]
exclude_patterns = ["_build", "figures/README.md"]
nitpicky = True
# What other packages define; their inventories are not fetched, so that the build needs no network.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(torch|numpy|np|pandas|pathlib|collections|types|typing|numbers|matplotlib|omegaconf"
        r"|pytorch_lightning|soundfile|functools|os)(\..*)?",
    ),
    (r"py:.*", r"(Tensor|NDArray|ArrayLike|Path|Any|Callable|Mapping|Sequence|Iterable|Iterator)"),
    # Private aliases of types, and type variables.
    (r"py:.*", r"(.*\.)?_\w+"),
]

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Shape"]
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
