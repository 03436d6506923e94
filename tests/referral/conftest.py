"""What the tests of referral share: factories are imported by name from referral_factories."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
