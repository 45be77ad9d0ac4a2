"""``python -m gcpt`` is the command ``gcpt``."""

import sys

from gcpt.cli import main

sys.exit(main())
