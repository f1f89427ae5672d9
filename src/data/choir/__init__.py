"""The `generated` choir: Bach chorales sung by a glottal-pulse formant synthesiser.

Nothing here shares code or model with the project's own source model (equal harmonics, all-pole
filter from LSFs, filtered noise), so that learning to separate this choir is not a tautology.
"""

from .generate import SONGS, GeneratedSong, generate_song

__all__ = ["SONGS", "GeneratedSong", "generate_song"]
