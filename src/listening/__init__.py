"""A page to listen to: a recording, its singers and what is left, played together."""
