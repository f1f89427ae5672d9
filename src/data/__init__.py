"""Data: readers of multitrack choirs, prepared memory-mapped songs, mixtures, the datamodule."""
