"""Runs that Runicorn's tracking library wrote, taken in from its storage roots. See docs/import.md."""
