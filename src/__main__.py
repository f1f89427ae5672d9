"""`python -m umss COMMAND ...`, the same as `umss COMMAND ...`."""

from .cli import main

if __name__ == "__main__":
    main()
