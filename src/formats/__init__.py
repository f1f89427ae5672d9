"""Files that other programs read: F0 tracks and notes."""
