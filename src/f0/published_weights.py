"""`python -m src.f0.published_weights`: see `src.published_weights`."""

from ..cli import launch

if __name__ == "__main__":
    launch("published-weights")
