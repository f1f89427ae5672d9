"""What every test may use, and what makes every test independent of the others.

A test may change the state of the process (threads, precision, environment, working folder,
logging, the configuration that is composed, random numbers): it is put back after every test, and
random numbers begin anew before every fixture and every test, so that none sees what ran before.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

ROOT = Path(__file__).parents[1]
# Configurations of tests build classes of tests.
os.environ["UMSS_TRUST"] = "tests"

# The same examples in every run, whatever an earlier one found, and however long they take.
hypothesis.settings.register_profile(
    "same everywhere",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("same everywhere")


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; tests that need it are skipped where it or Playwright is missing.

    One per module: while Playwright runs, nothing else may run an event loop in this thread.
    """
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is missing: pip install playwright"
    )
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("Chromium is missing: install the package chromium of your system")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--autoplay-policy=no-user-gesture-required", "--no-sandbox"]
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real recordings: environment variable UMSS_SHARED, else `../shared`."""
    folder = Path(os.environ.get("UMSS_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"real recordings are missing: no {folder / 'data'} (set UMSS_SHARED)")
    return folder


@contextmanager
def process_state() -> Iterator[None]:
    """Puts the state of the process back to what it was."""
    environment, folder = dict(os.environ), Path.cwd()
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        torch.set_default_dtype(torch.float32)
        os.chdir(folder)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None


def begin_random_numbers() -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - that of the libraries that know no other
    random.seed(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    with process_state():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Iterator[None]:
    # Fixtures of a module are made for whichever of its tests comes first.
    begin_random_numbers()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    begin_random_numbers()
    return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str) -> None:
    """Say at once which test took its process down; the summary may come too late."""
    print(f"\nthe process ended in {crashitem}", file=sys.stderr, flush=True)
