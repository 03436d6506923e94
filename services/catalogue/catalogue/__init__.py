"""Catalogue: keeps the whole network's offerings and matches them to plans."""
