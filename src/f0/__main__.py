"""`python -m src.f0 input=choir.wav n_singers=4`: the entry point `find_f0`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("umss.find_f0", run_name="__main__", alter_sys=True)
