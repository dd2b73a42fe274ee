"""`manage.py serve` with real processes."""
