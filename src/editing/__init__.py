"""Edits of separated singers: pitch, formants, colour, levels, new voices."""
