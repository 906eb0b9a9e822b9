"""``python -m huey`` is the ``huey`` command."""

import sys

from huey.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
