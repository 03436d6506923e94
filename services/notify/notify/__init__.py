"""Notify: carries events into people's tools and keeps the directory of staff."""
