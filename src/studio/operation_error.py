"""The error of corrections that cannot be made."""

from __future__ import annotations

from ..errors import UmssError


class OperationError(UmssError):
    """A correction that cannot be made; the message says why in one sentence."""
