"""Fundamental frequency: contours on the project's one time grid, and their estimation."""
