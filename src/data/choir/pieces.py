"""The chorales of the generated choir: their scores, tempi and rights.

The scores are not part of this repository. They are read from the corpus that comes with the
`music21` package. Bach's settings and the hymn texts are in the public domain; the notes below
concern the encodings and are quoted from the headers of the files.
"""

from __future__ import annotations

from dataclasses import dataclass

CORPUS_NOTE = (
    "music21 corpus licence: encodings distributed with the permission of the encoders; "
    "restrictions, where there are any, are embedded in the individual file"
)
FILE_NOTE = "PDF © 2004 Margaret Greentree; used by permission"


@dataclass(frozen=True)
class Piece:
    """One chorale.

    Attributes
    ----------
    name : name used throughout the project, also by the command line
    bwv : Bach-Werke-Verzeichnis number
    title : first line of the hymn
    source : path of the score in music21's corpus
    tempo : quarter notes per minute
    note : rights notice in the header of that file, verbatim; it names the printed edition the
        file was typed from and restricts neither redistribution nor commercial use
    """

    name: str
    bwv: int
    title: str
    source: str
    tempo: float
    note: str = FILE_NOTE
    corpus_note: str = CORPUS_NOTE


def _build_piece(bwv: int, slug: str, title: str, tempo: float) -> Piece:
    return Piece(f"bwv{bwv}_{slug}", bwv, title, f"bach/bwv{bwv}.mxl", tempo)


PIECES: tuple[Piece, ...] = (
    _build_piece(253, "ach_bleib_bei_uns", "Ach bleib bei uns, Herr Jesu Christ", 69),
    _build_piece(263, "alles_ist_an_gottes_segen", "Alles ist an Gottes Segen", 76),
    _build_piece(268, "auf_auf_mein_herz", "Auf, auf, mein Herz, und du mein ganzer Sinn", 78),
    _build_piece(278, "christ_lag_in_todesbanden", "Christ lag in Todesbanden", 72),
    _build_piece(288, "das_alte_jahr", "Das alte Jahr vergangen ist", 70),
    _build_piece(347, "ich_dank_dir", "Ich dank' dir, lieber Herre", 80),
    _build_piece(358, "jesu_meine_freude", "Jesu, meine Freude", 74),
    _build_piece(369, "keinen_hat_gott_verlassen", "Keinen hat Gott verlassen", 75),
    _build_piece(373, "liebster_jesu", "Liebster Jesu, wir sind hier", 68),
    _build_piece(386, "nun_danket_alle_gott", "Nun danket alle Gott", 82),
    _build_piece(392, "nun_ruhen_alle_waelder", "Nun ruhen alle Wälder", 72),
    _build_piece(393, "o_welt_sieh_hier", "O Welt, sieh hier dein Leben", 71),
    _build_piece(416, "vater_unser", "Vater unser im Himmelreich", 74),
    _build_piece(417, "von_gott_will_ich_nicht_lassen", "Von Gott will ich nicht lassen", 77),
    _build_piece(434, "wer_nur_den_lieben_gott", "Wer nur den lieben Gott läßt walten", 66),
    _build_piece(436, "wie_schoen_leuchtet", "Wie schön leuchtet der Morgenstern", 84),
)


def find_piece(name: str) -> Piece:
    """Find the piece called `name`.

    Raises
    ------
    KeyError
        no such piece; the message lists the names there are.
    """
    for piece in PIECES:
        if piece.name == name:
            return piece
    names = ", ".join(piece.name for piece in PIECES)
    raise KeyError(f"no generated song named {name!r}; the songs are: {names}")
