"""One package under two names: in a checkout, `src.X` is the module `umss.X`.

Without this, `from src.separator import Separator` would load a second copy of a module whose
classes are not those that the rest of the program uses. An installed package has no `src`.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

_FOLDER = Path(__file__).parent


class _SameModule(importlib.machinery.SourceFileLoader):
    """Loader that returns the module of `umss` when one of `src` is imported."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(_translate_name(spec.name))
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has overwritten it with the spec of `src`


class _Finder(importlib.abc.MetaPathFinder):
    """Finds `src.X` where `umss.X` exists."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith("src."):
            return None
        own = importlib.util.find_spec(_translate_name(name))
        if own is None or own.origin is None:
            return None
        spec = importlib.util.spec_from_file_location(
            name,
            own.origin,
            loader=_SameModule(name, own.origin),
            submodule_search_locations=own.submodule_search_locations,
        )
        return spec


def use_one_package() -> None:
    """Make `src` a second name of `umss`, and import both from this folder."""
    if "umss" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "umss", _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
        )
        assert spec is not None and spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules["umss"] = package
        spec.loader.exec_module(package)
    sys.modules["src"] = sys.modules["umss"]
    sys.meta_path.insert(0, _Finder())


def _translate_name(name: str) -> str:
    return "umss" + name.removeprefix("src")
