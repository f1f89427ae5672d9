"""Fundamental frequency (F0): tracks of the singers, and their estimation from recordings."""
