"""`python -m src.separate choir.wav`, the same as `umss separate choir.wav`: see `src.command`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .cli import main


class _Callable(ModuleType):
    """Python puts an imported module in its package: `umss.separate` must stay a function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from .api import separate

        return separate(*arguments, **options)


def __getattr__(name: str) -> Any:
    from . import separate_file

    return getattr(separate_file, name)


if __name__ == "__main__":
    main(["separate", *sys.argv[1:]])
else:
    sys.modules[__name__].__class__ = _Callable
