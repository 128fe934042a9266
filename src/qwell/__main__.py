"""`python -m qwell` is `qwell`."""

import sys

from qwell.cli import main

if __name__ == "__main__":
    sys.exit(main())
