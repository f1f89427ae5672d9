"""`python -m src.edit parameters=choir_parameters.npz ...`: see `src.edit_file`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .cli import launch


class _Callable(ModuleType):
    """Python puts an imported module in its package: `umss.edit` must stay a function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from .editing.recording import edit

        return edit(*arguments, **options)


def __getattr__(name: str) -> Any:
    from . import edit_file

    return getattr(edit_file, name)


if __name__ == "__main__":
    launch("edit")
else:
    sys.modules[__name__].__class__ = _Callable
