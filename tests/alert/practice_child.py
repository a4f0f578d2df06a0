"""A replica in a process of its own, to be killed: `python -m tests.alert.practice_child URL FILE`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.alert.builders import configuration
from tests.alert.practice_ground import practice_of

if __name__ == "__main__":
    asyncio.run(practice_of(configuration(Path(sys.argv[2]).read_text()), sys.argv[1]).run())
