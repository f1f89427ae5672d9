"""Audio files in the formats that people use, with tags, level and clipping under control."""
