"""ApiKey: a named, expiring, scoped key of a user. IdempotentAnswer: what a repeated POST is answered with."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone
from django.utils.functional import cached_property

from mlserver.accounts.scopes import Scope, scope_of_user, weaker
from mlserver.errors import Invalid, shown

KEY_PREFIX = "mls_"
KEY_BYTES = 32
SHOWN_CHARACTERS = len(KEY_PREFIX) + 6
LAST_USED_STEP = timedelta(minutes=5)
IDEMPOTENCY_WINDOW = timedelta(hours=24)


def new_key() -> str:
    """A fresh key: 256 random bits after a prefix that scanners of leaked secrets can recognise."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> str:
    """SHA-256 in hex. A slow password hash would protect guessable secrets; 256 random bits need none."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def live(self) -> "ApiKeyQuerySet":
        """Neither revoked nor expired, of users who may come in."""
        unexpired = models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now())
        return self.filter(unexpired, revoked_at=None, user__is_active=True)


class ApiKeyManager(models.Manager["ApiKey"]):
    def issue(
        self, user: User, name: str, *, scope: str = "submit", expires_at: datetime | None = None
    ) -> tuple["ApiKey", str]:
        """A new row and its key, which exists nowhere else.

        Raises Invalid when the key would be allowed more than its user, or has expired already.
        """
        allowed = scope_of_user(user)
        if weaker(scope, allowed) != scope:
            raise Invalid.field("scope", f"{shown(scope)} is more than user {user.username} has, which is {allowed}")
        if expires_at is not None and expires_at <= timezone.now():
            raise Invalid.field("expires_at", f"{expires_at.isoformat()} is in the past")
        row = self.model(user=user, name=name, scope=scope, expires_at=expires_at)
        key = row.give_key()
        row.save()
        return row, key


KEY_STATES = ("live", "expired", "revoked")


class ApiKey(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, help_text="what the key is for")
    prefix = models.CharField(max_length=16, editable=False, help_text="the start of the key, to tell keys apart")
    # Every keyed request looks its key up by this column.
    digest = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256 of the key, in hex")
    scope = models.CharField(max_length=8, choices=Scope.choices, default=Scope.SUBMIT)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="empty: never")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="exact to five minutes")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiKeyManager.from_queryset(ApiKeyQuerySet)()

    class Meta:
        verbose_name = "API key"
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.prefix}... {self.name}"

    @property
    def state(self) -> str:
        """One of KEY_STATES."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= timezone.now():
            return "expired"
        return "live"

    @cached_property
    def effective_scope(self) -> str:
        """The key's scope, or what its user may do now if that is less.

        One query for the group of a user who is no superuser, unless the key only reads; kept with this row, which
        lives for one request.
        """
        return self.scope if self.scope == Scope.READ else weaker(self.scope, scope_of_user(self.user))

    def give_key(self) -> str:
        """A fresh key for this row, unsaved; the row keeps only its digest and first characters."""
        key = new_key()
        self.digest, self.prefix = digest_of(key), key[:SHOWN_CHARACTERS]
        return key

    def revoke(self) -> bool:
        """Refuse the key from now on; False when it was revoked before."""
        self.revoked_at = timezone.now()
        return bool(ApiKey.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=self.revoked_at))

    def touch(self) -> None:
        """Record that the key was used, with at most one write in five minutes."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at >= LAST_USED_STEP:
            ApiKey.objects.filter(pk=self.pk).update(last_used_at=now)


class IdempotentAnswerQuerySet(models.QuerySet["IdempotentAnswer"]):
    def outdated(self) -> "IdempotentAnswerQuerySet":
        return self.filter(created_at__lt=timezone.now() - IDEMPOTENCY_WINDOW)


class IdempotentAnswer(models.Model):
    """The first answer to a POST with an Idempotency-Key, kept for a day."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=1024)
    key = models.CharField(max_length=255)
    request_digest = models.CharField(max_length=64, help_text="SHA-256 of query and body")
    status = models.PositiveSmallIntegerField(default=0)
    location = models.CharField(max_length=1024, blank=True)
    body = models.BinaryField(default=b"")
    # Outdated rows are deleted by age.
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = IdempotentAnswerQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        # Two requests at once: the second insert waits for the first and then fails.
        constraints = [models.UniqueConstraint(fields=["user", "path", "key"], name="one_answer_per_key")]

    def __str__(self) -> str:
        return f"{self.key} {self.path} {self.status}"
