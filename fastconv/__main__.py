"""`python -m fastconv` is the `fastconv` command."""

import sys

from .command.main import main

sys.exit(main())
