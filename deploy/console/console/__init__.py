"""The viisikko command: runs, feeds and watches the network."""

import warnings

# Known and decided (architecture.md: nameko stands on eventlet); people at a terminal can do nothing about it.
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
