"""The names of formats of F0 tracks (`src.formats.write` says what they hold)."""

FORMATS = ("csv", "tony", "crepe", "multipitch", "midi", "musicxml", "jams")
