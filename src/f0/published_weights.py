"""`python -m src.f0.published_weights`: the entry point `published_weights`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("umss.published_weights", run_name="__main__", alter_sys=True)
