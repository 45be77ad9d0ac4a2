"""Run the command ``gcpt`` as ``python -m gcpt``."""

import sys

from gcpt.cli import main

sys.exit(main())
