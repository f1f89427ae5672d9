"""`python -m src.separate input=choir.wav n_singers=4`: see `src.separate_file`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .cli import launch


class _Callable(ModuleType):
    """Python puts an imported module in its package: `umss.separate` must stay a function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from .api import separate

        return separate(*arguments, **options)


def __getattr__(name: str) -> Any:
    from . import separate_file

    return getattr(separate_file, name)


if __name__ == "__main__":
    launch("separate")
else:
    sys.modules[__name__].__class__ = _Callable
