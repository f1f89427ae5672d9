"""Reads what an offline run of W&B has recorded, as `wandb sync` does."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

# The file is a log as LevelDB writes it: blocks, of records in pieces (whole, first, middle, last).
_BLOCK = 32768
_WHOLE, _LAST = 1, 4


def read_records(run: Path) -> Iterator[Any]:
    """Records of the one `.wandb` file of a run's folder."""
    (file,) = run.glob("*.wandb")
    data = file.read_bytes()
    place, record = 7, b""  # after the file's own header
    while place + 7 <= len(data):
        if _BLOCK - place % _BLOCK < 7:
            place += _BLOCK - place % _BLOCK
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (_WHOLE, _LAST):
            yield wandb_internal_pb2.Record.FromString(record)
            record = b""


def read_config(run: Path) -> dict[str, Any]:
    """The run's configuration."""
    config: dict[str, Any] = {}
    for record in read_records(run):
        for update in (record.run.config, record.config):
            for item in update.update:
                if item.key:
                    config[item.key] = json.loads(item.value_json)
    return config


def read_history(run: Path) -> list[dict[str, Any]]:
    """What was logged, step by step; names with a slash are joined again."""
    return [
        {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
        for record in read_records(run)
        if record.HasField("history")
    ]


def read_artifacts(run: Path, kind: str) -> list[Any]:
    """Artifacts of a type, in order."""
    requests = [
        record.request.log_artifact.artifact
        for record in read_records(run)
        if record.request.HasField("log_artifact")
    ]
    plain = [record.artifact for record in read_records(run) if record.HasField("artifact")]
    return [artifact for artifact in (*plain, *requests) if artifact.type == kind]


def read_table(artifact: Any) -> dict[str, Any]:
    """The table of an artifact, with paths of files on this machine in place of media."""
    places = {entry.path: entry.local_path for entry in artifact.manifest.contents}
    (name,) = (path for path in places if path.endswith(".table.json"))
    table: dict[str, Any] = json.loads(Path(places[name]).read_text())
    table["data"] = [
        [Path(places[cell["path"]]) if isinstance(cell, dict) else cell for cell in row]
        for row in table["data"]
    ]
    return table
