"""Who called, in words for records that people read."""

from django.contrib.auth.models import User
from rest_framework.request import Request

from mlserver.accounts.authentication import LoopbackTrust
from mlserver.accounts.keys import StaticKey
from mlserver.accounts.models import ApiKey


def described_caller(request: Request) -> str:
    """Key and user of an authenticated call; of a key only what is no secret."""
    name = request.user.username if isinstance(request.user, User) else "nobody"
    if isinstance(request.auth, ApiKey):
        return f"key {request.auth} of {name}"
    if isinstance(request.auth, StaticKey):
        return f"a static key of {name}"
    return "a trusted loopback peer" if isinstance(request.auth, LoopbackTrust) else f"the session of {name}"
