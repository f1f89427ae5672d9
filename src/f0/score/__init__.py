"""Scores that say what is sung: reading them, and laying them over a recording."""

from .reading import SCORE_SUFFIXES as SCORE_SUFFIXES
from .reading import read_score as read_score
