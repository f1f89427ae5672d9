"""Role of `name` in docstrings: a link where this documentation has the name, else plain code.

A name that begins with the package's own must exist: if it can neither be linked nor imported, the
build warns (and with -W fails).
"""

from __future__ import annotations

import importlib
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

PACKAGE = "umss"
CHECKOUT_NAME = "src"  # the same package in a checkout

log = logging.getLogger(__name__)


class SoftRole(XRefRole):
    """`name` as a reference to any Python object."""

    def __init__(self) -> None:
        super().__init__(innernodeclass=nodes.literal)

    def process_link(
        self,
        env: BuildEnvironment,
        refnode: nodes.Element,
        has_explicit_title: bool,
        title: str,
        target: str,
    ) -> tuple[str, str]:
        refnode["refdomain"] = "py"
        refnode["reftype"] = "obj"
        refnode["soft"] = True
        refnode["py:module"] = env.ref_context.get("py:module")
        refnode["py:class"] = env.ref_context.get("py:class")
        name = target.strip().removesuffix("()")
        if name.startswith(f"{CHECKOUT_NAME}."):
            name = PACKAGE + name.removeprefix(CHECKOUT_NAME)
            title = name
        return title, name


def exists(name: str) -> bool:
    """Whether a dotted name is a module or something in one."""
    first, *rest = name.split(".")
    found: Any = importlib.import_module(first)
    path = first
    for part in rest:
        path = f"{path}.{part}"
        if not hasattr(found, part) and part not in getattr(found, "__annotations__", {}):
            try:
                importlib.import_module(path)
            except ImportError:
                return False
        found = getattr(found, part, None)
    return True


def resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """A name without its module, if only one object has it; what has no page stays code."""
    target = node["reftarget"]
    if node.get("refdomain") == "py" and "." not in target:
        objects = env.domains.python_domain.objects
        found = {
            entry.node_id: entry.docname
            for name, entry in objects.items()
            if name.endswith(f".{target}") and entry.objtype in ("class", "exception", "function")
        }
        if len(found) == 1:
            ((node_id, page),) = found.items()
            return make_refnode(app.builder, node["refdoc"], page, node_id, content)
    if not node.get("soft"):
        return None
    if target.startswith(f"{PACKAGE}.") and not exists(target):
        log.warning("%r does not exist", target, location=node, type="ref", subtype="soft")
    return content


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_role("soft", SoftRole())
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
