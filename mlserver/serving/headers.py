"""Headers of a request, before Django sees them."""

from mlserver.serving.request_body import Scope


def drop_ambiguous_headers(scope: Scope) -> None:
    """`X_Forwarded_For` would reach Django under the name of `X-Forwarded-For`, past a proxy that sets the latter."""
    if any(b"_" in name for name, _ in scope["headers"]):
        scope["headers"] = [pair for pair in scope["headers"] if b"_" not in pair[0]]
