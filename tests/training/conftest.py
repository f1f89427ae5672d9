"""What tests of Weights & Biases share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb


@pytest.fixture
def own_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No credentials, no settings and no folders of the person who runs the tests."""
    for name in ("API_KEY", "MODE", "IDENTITY_TOKEN_FILE", "BASE_URL", "PROJECT", "DATA_DIR"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    for name in ("CACHE_DIR", "CONFIG_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path / name))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    # The library reads the environment once, and keeps what it read for the process.
    wandb.teardown()
    yield
    wandb.teardown()
