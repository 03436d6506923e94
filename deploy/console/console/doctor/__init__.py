"""`viisikko doctor`: what works between an organisation and the network, what does not, and the next step."""

from __future__ import annotations
