"""The commands of `viisikko`, in a module for each group."""

from __future__ import annotations
