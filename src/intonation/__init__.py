"""How well an ensemble sang: tuning, drift, unisons, vibrato and entries, from F0 tracks."""
