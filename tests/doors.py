"""What comes through a program's doors: damaged files and settings that nobody should give.

At every door the answer is the right result, or one sentence that names the file or the setting.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from src.messages import user_message

# Files of a test's own folder may serve all examples: every example writes them anew.
_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
# Failures are shown as they are found: making them smaller takes longer than finding them.
SOME = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=_CHECKS,
)
MANY = settings(SOME, max_examples=300)


def few_and_many(check: Callable[..., None]) -> dict[str, Callable[..., None]]:
    """A check of generated inputs as two tests: some dozen, and hundreds, which are marked as slow.

    Args:
        check: called `check_...`, takes `data` and fixtures. `globals().update(few_and_many(...))`
            offers the tests to pytest.
    """
    name = check.__name__.removeprefix("check_")
    few, many = (given(data=st.data())(check) for _ in range(2))
    return {f"test_{name}": SOME(few), f"test_{name}_often": pytest.mark.slow(MANY(many))}


def assert_one_sentence(error: BaseException, *names: str) -> str:
    """The error is one for the user: one line, which has one of the names in it."""
    message = user_message(error)
    assert message is not None, f"not for the user: {type(error).__name__}: {error}"
    assert message and "\n" not in message, message
    assert len(message) < 1500, message
    assert not names or any(name in message for name in names), message
    return message


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A file that was cut off, changed, or replaced by something else."""
    kind = draw(st.sampled_from(["cut", "flip", "flip", "flips", "insert", "other", "zeros"]))
    place = draw(st.integers(0, len(content) - 1))
    if kind == "cut":
        return content[:place]
    if kind in ("flip", "flips"):
        changed = bytearray(content)
        for _ in range(1 if kind == "flip" else draw(st.integers(2, 50))):
            changed[draw(st.integers(0, len(content) - 1))] ^= 1 << draw(st.integers(0, 7))
        return bytes(changed)
    if kind == "insert":
        return content[:place] + draw(st.binary(min_size=1, max_size=20)) + content[place:]
    if kind == "zeros":
        length = draw(st.integers(1, 1000))
        return (
            content[:place] + bytes(min(length, len(content) - place)) + content[place + length :]
        )
    return draw(st.binary(max_size=200))


# Values of every kind, most of them wrong anywhere.
JUNK: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [
            None, True, False, 0, -1, 1, 2, 10**6, 10**9, -(10**9), 10**30, 0.0, 0.5, -0.5, 1e-30,
            1e300, float("nan"), float("inf"), float("-inf"), "", "x", "cpu", "ü\u0000", "a\nb",
            [], [0], [-1], ["x"], [None], [[1]], {}, {"a": 1}, {"_target_": "os.system"},
        ]
    ),
    st.integers(-100, 100),
    st.floats(-10, 10),
    st.text(max_size=10),
)  # fmt: skip


@st.composite
def with_junk(draw: st.DrawFn, tree: Mapping[str, Any], *, depth: int = 4) -> dict[str, Any]:
    """A tree of settings with one value replaced, removed or added."""
    changed = dict(tree)
    kind = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
    key = draw(st.sampled_from(sorted(map(str, tree)) or [""]))
    inner = changed.get(key)
    if isinstance(inner, Mapping) and inner and depth and draw(st.integers(0, 4)):
        changed[key] = draw(with_junk(inner, depth=depth - 1))
    elif kind == "remove":
        changed.pop(key, None)
    elif kind == "add":
        changed[draw(st.text(max_size=8))] = draw(JUNK)
    else:
        changed[key] = draw(JUNK)
    return changed


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, to see that none has changed."""
    return dict(_read_all(folder))


def _read_all(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def zip_of(members: Mapping[str, bytes], *, compress: bool = False) -> bytes:
    """A ZIP archive of these members."""
    stream = BytesIO()
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()
