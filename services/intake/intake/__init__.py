"""Intake: registers clients and keeps the person behind the reference."""
