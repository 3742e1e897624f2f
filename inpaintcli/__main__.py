"""`python -m inpaintcli`: the same program."""

from inpaintcli.cli import main

if __name__ == "__main__":
    main()
