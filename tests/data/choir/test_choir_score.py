"""The chorales behind the generated choir: four parts, text, rights notices, spelling."""

import zipfile

import numpy as np
import pytest

from src.data.choir.generate import SONGS
from src.data.choir.lyrics import make_up_syllable, spell
from src.data.choir.phonemes import CONSONANTS, GLIDES, VOWELS
from src.data.choir.pieces import PIECES, find_piece
from src.data.choir.score import ScoreError, find_phrase_ends, read_score

RANGES = {"soprano": (57, 81), "alto": (53, 76), "tenor": (47, 71), "bass": (36, 65)}  # MIDI


def test_songs_are_listed_once_and_unknown_names_list_them():
    assert len(SONGS) >= 10
    assert len(set(SONGS)) == len(SONGS) == len(PIECES)
    with pytest.raises(KeyError, match=SONGS[3]):
        find_piece("bwv0_nothing")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.name)
def test_every_piece_has_four_parts_in_range_with_text(piece):
    parts = read_score(piece.source)
    assert len(parts) == 4
    for notes, (low, high) in zip(parts, RANGES.values(), strict=True):
        assert all(low <= note.midi <= high for note in notes)
        assert all(a.end <= b.start + 1e-6 for a, b in zip(notes, notes[1:], strict=False))
        assert sum(note.syllable is not None for note in notes) > 20
    assert len(find_phrase_ends(parts)) >= 4


def test_recorded_rights_notices_are_those_of_the_files():
    from music21 import common

    root = common.getCorpusFilePath()
    for piece in PIECES:
        with zipfile.ZipFile(root / piece.source) as archive:
            text = "".join(
                archive.read(name).decode("utf-8")
                for name in archive.namelist()
                if not name.startswith("META")
            )
        for notice in piece.note.split("; "):
            assert notice in text, piece.source


def test_missing_score_is_named():
    with pytest.raises(ScoreError, match="bwv9999"):
        read_score("bach/bwv9999.mxl")


@pytest.mark.parametrize(
    ("text", "stressed", "sounds"),
    [
        ("Christ,", True, (("k", "r"), "I", ("s", "t"))),
        ("schön", True, (("S",), "Q", ("n",))),
        ("Freu", True, (("f", "r"), "OY", ())),
        ("lig", False, (("l",), "i", ("C",))),
        ("Nacht,", True, (("n",), "a", ("x", "t"))),
        ("Stamm", True, (("S", "t"), "a", ("m",))),
        ("ster", False, (("s", "t"), "6", ())),
        ("Wahr", True, (("v",), "a", ("r",))),
        ("sen,", False, (("z",), "@", ("n",))),
    ],
)
def test_spelling(text, stressed, sounds):
    syllable = spell(text, stressed=stressed)
    assert (syllable.onset, syllable.vowel, syllable.coda) == sounds


def test_every_sound_has_an_entry():
    syllables = [
        spell(note.syllable, stressed=note.stressed)
        for piece in PIECES
        for note in read_score(piece.source)[0]
        if note.syllable
    ]
    syllables += [make_up_syllable(np.random.default_rng(i)) for i in range(50)]
    for syllable in syllables:
        assert syllable.vowel in VOWELS or syllable.vowel in GLIDES
        assert set(syllable.onset) | set(syllable.coda) <= set(CONSONANTS)
