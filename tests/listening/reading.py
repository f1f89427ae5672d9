"""Reads pages to listen to, as tests do."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from tests.listening.voices import RATE


class Collector(HTMLParser):
    """The texts of a page by the kind of element they stand in."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self.scripts: list[dict[str, str | None]] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        if tag == "script":
            self.scripts.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)


def read_page(path: Path) -> tuple[Collector, dict[str, Any], dict[str, Any]]:
    """The elements of a page, its description of recordings, and its pieces of sound by name."""
    page = Collector()
    page.feed(path.read_text(encoding="utf-8"))
    texts = dict(zip(range(len(page.scripts)), page.texts["script"], strict=True))
    content = next(json.loads(texts[k]) for k, a in enumerate(page.scripts) if a.get("id"))
    pieces = {
        str(a["data-sound"]): json.loads(texts[k])
        for k, a in enumerate(page.scripts)
        if "data-sound" in a
    }
    return page, content, pieces


def decode(flac: str, expected: int = RATE) -> np.ndarray:
    """The samples [T, C] of a piece of sound."""
    samples, rate = sf.read(io.BytesIO(base64.b64decode(flac)), dtype="float32")
    assert rate == expected
    return samples
