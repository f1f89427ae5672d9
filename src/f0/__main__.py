"""`python -m src.f0 input=choir.wav n_singers=4`: see `src.estimate_f0`."""

from ..cli import launch

if __name__ == "__main__":
    launch("f0")
