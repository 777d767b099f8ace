"""`python -m infraconsole` is the `infraconsole` command."""

from infraconsole.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
