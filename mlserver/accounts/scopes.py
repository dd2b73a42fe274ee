"""Scopes: what a key or a logged-in user may do. Each includes the ones before it."""

from django.contrib.auth.models import User
from django.db import models

READERS_GROUP = "readers"


class Scope(models.TextChoices):
    READ = "read", "read: sees everything"
    SUBMIT = "submit", "submit: also creates, and changes what is its own"
    ADMIN = "admin", "admin: everything"


ORDER = (Scope.READ.value, Scope.SUBMIT.value, Scope.ADMIN.value)


def includes(scope: str, needed: str) -> bool:
    """Whether `scope` is at least `needed`."""
    return ORDER.index(scope) >= ORDER.index(needed)


def weaker(one: str, other: str) -> str:
    return min(one, other, key=ORDER.index)


def scope_of_user(user: User) -> str:
    """What a user may do without a key: superusers all, members of the group `readers` look, others submit."""
    if user.is_superuser:
        return Scope.ADMIN.value
    if user.groups.filter(name=READERS_GROUP).exists():
        return Scope.READ.value
    return Scope.SUBMIT.value
