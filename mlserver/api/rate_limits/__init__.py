"""How often one address may call each row of the Runicorn API. See docs/runicorn.md."""

from mlserver.api.rate_limits.limiter import limiter, reset_limiter
from mlserver.api.rate_limits.model import BadRateLimits, Limit, RateLimits, complaints_about
from mlserver.api.rate_limits.storage import load, rate_limits_file, remove, save

__all__ = [
    "BadRateLimits", "Limit", "RateLimits", "complaints_about", "limiter", "load", "rate_limits_file", "remove",
    "reset_limiter", "save",
]  # fmt: skip
