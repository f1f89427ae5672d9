"""Reading what is sent, no more than is allowed, whether its length is told or not."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request

from ..errors import UmssError
from ..files import name_failed_file

MOST_JSON = 1_000_000  # bytes
NAME = "x-umss-name"


class TooLargeError(UmssError):
    """More was sent than is allowed."""


async def read_body(request: Request, most: int) -> bytes:
    """Read a body of at most `most` bytes.

    Raises:
        TooLargeError: it is longer, or says so.
    """
    _check_length(request, most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _refuse(most)
        parts.append(part)
    return b"".join(parts)


async def read_json(request: Request) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        TooLargeError: it is too long.
        UmssError: it is none.
    """
    body = await read_body(request, MOST_JSON)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UmssError("what was sent is no JSON") from error
    if not isinstance(content, dict):
        raise UmssError("what was sent is no JSON object")
    return content


async def save_body(request: Request, target: Path, most: int) -> tuple[str, int]:
    """Write a body to a file, part by part; SHA-256 and size of it.

    Raises:
        TooLargeError: it is longer than `most` bytes.
        UmssError: it is empty.
    """
    _check_length(request, most)
    digest, size = hashlib.sha256(), 0
    with name_failed_file(target), target.open("wb") as file:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise _refuse(most)
            digest.update(part)
            file.write(part)
    if not size:
        raise UmssError("the file is empty")
    return digest.hexdigest(), size


def read_name(request: Request) -> str:
    """The name of a file that is sent, made harmless: no folders, no signs that mean anything.

    Raises:
        UmssError: there is none.
    """
    try:
        given = unquote(request.headers.get(NAME, ""), errors="strict")
    except UnicodeDecodeError as error:
        raise UmssError(f"the header {NAME} is no text") from error
    name = clean_file_name(given)
    if not name:
        raise UmssError(f"give the name of the file in the header {NAME}")
    return name


def clean_file_name(given: str) -> str:
    """The last part of a name, of letters, digits, blanks and -_.() only; "" = nothing is left."""
    last = re.split(r"[/\\]", given)[-1]
    clean = re.sub(r"[^\w .()\-]+", "_", last).strip(" .")
    stem, dot, suffix = clean.rpartition(".")
    return f"{stem[:80]}{dot}{suffix[:10]}" if dot and stem else clean[:80]


def _check_length(request: Request, most: int) -> None:
    told = request.headers.get("content-length", "0")
    if not told.isdigit() or int(told) > most:
        raise _refuse(most)


def _refuse(most: int) -> TooLargeError:
    size = f"{most / 1e9:g} GB" if most >= 1e9 else f"{most / 1e6:g} MB"
    return TooLargeError(f"this is larger than {size}, the most that may be sent here")
