"""The options of `umss separate` and their help; imports nothing that takes long."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from ..errors import UmssError
from .form import find_setting
from .settings import Options

_EPILOG = """\b
Examples:
  umss separate choir.mp3
  umss separate -n 4 --names soprano,alto,tenor,bass choir.mp3
  umss separate --two-stems alto --format mp3 choir.mp3
  umss separate --practice --page concert.m4a
  umss separate --fast -j 2 --filename "{track}/{voice}.{ext}" recordings/
  umss separate --score mass.mid choir.wav
  umss separate -- -intro=1.wav

\b
Every other setting (windows, methods, F0) has the form NAME=VALUE, which excludes options:
  umss separate input=choir.wav n_singers=4 separator.rooms=false
  umss separate n_singers=4 --help      lists all of them
"""


@click.command(
    "umss separate",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.argument("recordings", nargs=-1, required=True, metavar="RECORDING...")
@click.option(
    "-n",
    "--singers",
    default="auto",
    metavar="N|auto",
    show_default=True,
    help="How many sing; auto counts them.",
)
@click.option("-o", "--out", metavar="DIR", help="Folder of the files; else separated.")
@click.option("--names", metavar="A,B,...", help="Names of the singers, from the highest down.")
@click.option("--f0", metavar="FILE", help="Their pitches as a table (CSV, ...), not to be found.")
@click.option("--score", metavar="FILE", help="A MIDI or MusicXML score, which guides the search.")
@click.option("--only", multiple=True, metavar="A,...", help="Write these singers only, e.g. alto.")
@click.option("--two-stems", metavar="A", help="Write two files: this singer, and everything else.")
@click.option(
    "--format",
    metavar="FORMAT",
    help="wav32f (float, the default), wav24, wav16, flac (24 bits) or mp3.",
)
@click.option("--bitrate", type=int, metavar="KBIT", help="Of MP3 files, 64 to 320; else 320.")
@click.option(
    "--filename",
    metavar="PATTERN",
    help='Names of the files below DIR, e.g. "{track}/{voice}.{ext}"; '
    '"{track}_{voice}.{ext}" by default.',
)
@click.option(
    "--method", metavar="NAME", help="umss_fit (the default), fit, umss, comb, nmf1, nmf2, ..."
)
@click.option(
    "--fast",
    is_flag=True,
    help="A sixth of the time: pitches are taken as found, not weighed against "
    "other opinions. Stems are up to half a decibel worse.",
)
@click.option("--device", metavar="NAME", help="Where the network computes: cpu, cuda, mps.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    metavar="N",
    show_default=True,
    help="Recordings at a time.",
)
@click.option("--page", is_flag=True, help="Also a page to listen to, NAME_listen.html.")
@click.option(
    "--practice",
    is_flag=True,
    help="Also practice tracks (MP3): my part loud, without me, me left and others right.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@click.option("-q", "--quiet", is_flag=True, help="Warnings and errors only.")
def separate(recordings: tuple[str, ...], **options: Any) -> None:
    """Separate recordings of a vocal ensemble into their singers.

    RECORDING is a file (WAV, FLAC, OGG, MP3; with ffmpeg M4A, video and more) or a folder, which is
    searched with all folders in it. Each recording becomes one file per singer, from the highest
    (singer1) down; a residual, which is what nobody got; the pitches (F0) as a table; and the
    parameters that `umss edit` and `umss practice` read.
    """
    from .run import run

    run(recordings, Options(**options))  # fmt: skip


def is_command_for_musicians(arguments: Sequence[str]) -> bool:
    """Whether a command line of `umss separate` has options and recordings, not NAME=VALUE.

    Raises:
        UmssError: it has options and NAME=VALUE.
    """
    options = [option for option in separate.params if isinstance(option, click.Option)]
    with_value = [name for option in options if not option.is_flag for name in option.opts]

    def find() -> Any:
        from ..configuration import FOLDER
        from ..settings import find_kinds

        return find_kinds(FOLDER, "separate")

    setting = find_setting(arguments, with_value, find)
    if setting is None:
        return True
    names = [name for option in options for name in option.opts]
    for argument in arguments:
        if argument.partition("=")[0] in names and not os.path.lexists(argument):
            raise UmssError(
                f"{setting} is a setting and {argument} an option: give one kind alone (umss "
                "separate --help has the options); a recording of such a name goes after --"
            )
    return False


def main(arguments: Sequence[str]) -> None:
    """Run the command.

    Args:
        arguments: what follows `umss separate`.
    """
    try:
        with separate.make_context("umss separate", list(arguments)) as context:
            separate.invoke(context)
    except click.exceptions.Exit:
        return  # the help was printed
    except click.UsageError as error:
        print(f"error: {error.format_message()} (see umss separate --help)", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has enough (`umss separate --help | head`).
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python writes the rest at its end
        sys.exit(128 + 13)
