"""The built-in trainer: `python -m training.trainer`. The only code that imports torch; it knows no Django."""
