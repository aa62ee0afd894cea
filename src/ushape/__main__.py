"""`python -m ushape` is `ushape`."""

from ushape.cli.app import main

if __name__ == "__main__":  # processes that load data import this file again
    main()
