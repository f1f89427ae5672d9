"""Examples in docstrings run and print what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.rest import DocTestParser

from tests.docs.documents import ROOT

MODULES = sorted(
    path for path in (ROOT / "src").rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_docstring_examples_run(module: Path, playground: Path) -> None:
    sybil = Sybil([DocTestParser()], document_types={".py": PythonDocStringDocument})
    examples = list(sybil.parse(module).examples())
    assert examples
    for example in examples:
        example.evaluate()
