"""``python -m crnn`` is the `crnn` command."""

import sys

from crnn.cli import main

sys.exit(main())
