"""Prepare a data set: `umss prepare data=csd data.root=DIR [data.f0=stems|estimated]`.

Decodes, checks and resamples the songs and caches their F0, so that training and evaluation start
quickly. Both prepare missing songs themselves; this command shows all problems in advance.
"""

from __future__ import annotations

from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .cli import launch
from .data.datamodule import MixtureDataModule
from .data.prepared import PreparedSet, PreparedSong


def tabulate_songs(prepared: PreparedSet) -> Table:
    """Build a table with one row per song: stems, minutes, F0 and number of warnings.

    Recordings without stems are counted by their singers.
    """
    songs = prepared.songs
    minutes = sum(_measure_minutes(song) for song in songs)
    table = Table(title=f"{escape(prepared.name)}: {len(songs)} songs, licence {prepared.license}")
    counted = "stems" if any(song.has_stems for song in songs) else "singers"
    for column in ("song", counted, "minutes", "F0", "warnings"):
        table.add_column(column, justify="left" if column in ("song", "F0") else "right")
    for song in songs:
        table.add_row(
            escape(song.name),
            str(len(song.keys)),
            f"{_measure_minutes(song):.2f}",
            _describe_f0(song),
            str(sum(level == "warning" for level, _ in song.notes)),
        )
    table.add_section()
    table.add_row("total", str(sum(len(s.keys) for s in songs)), f"{minutes:.2f}", "", "")
    return table


def _measure_minutes(song: PreparedSong) -> float:
    return song.n_samples / 16_000 / 60


def _describe_f0(song: PreparedSong) -> str:
    if not song.has_stems and "cached" in song.f0_kinds:
        return "from a file"
    if not song.has_stems and song.score() is not None:
        return ", ".join((*song.f0_kinds, "led by a score"))
    sizes = ", ".join(f"{n} of J={j}" for j, n in sorted(song.cached_sizes.items()))
    return ", ".join(f"cached ({sizes})" if kind == "cached" else kind for kind in song.f0_kinds)


def main(config: DictConfig) -> None:
    """Prepare the data of `config.data` and print what there is."""
    module: MixtureDataModule = instantiate(config.data)
    prepared = module.prepare()
    console = Console()
    console.print(tabulate_songs(prepared))
    for song in prepared.songs:
        for level, text in song.notes:
            console.print(f"{level}: {text}", soft_wrap=True, markup=False, highlight=False)
    console.print(f"prepared in {prepared.folder}", soft_wrap=True)


if __name__ == "__main__":
    launch("prepare")
