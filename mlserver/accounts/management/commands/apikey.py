"""manage.py apikey create|list|revoke."""

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q
from django.utils import timezone

from mlserver.accounts.bootstrap import first_admin
from mlserver.accounts.models import ApiKey
from mlserver.accounts.scopes import Scope
from mlserver.errors import Invalid

MAX_DAYS = 36500
MAX_NAME = 100
COLUMNS = "{:>5}  {:<12}  {:<8}  {:<7}  {:<16}  {:<20}  {:<20}  {}"


class Command(BaseCommand):
    help = "Make, list and revoke API keys."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make a key and print it; it is not shown again")
        create.add_argument("name", type=_name, help=f"what the key is for, 1-{MAX_NAME} characters")
        create.add_argument("--user", help="username of its owner (default: the first administrator)")
        create.add_argument("--scope", choices=Scope.values, default=Scope.SUBMIT.value)
        create.add_argument("--days", type=_days, help="days until it expires (default: never)")
        listing = actions.add_parser("list", help="list the keys that work")
        listing.add_argument("--all", action="store_true", help="expired and revoked ones too")
        revoke = actions.add_parser("revoke", help="refuse a key from now on")
        revoke.add_argument("key", help="its id or prefix, as `list` shows them")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")(options)

    def _create(self, options: dict[str, Any]) -> None:
        expires_at = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        try:
            _, key = ApiKey.objects.issue(
                _user(options["user"]), options["name"], scope=options["scope"], expires_at=expires_at
            )
        except Invalid as error:
            raise CommandError(error.message) from error
        self.stdout.write(key)

    def _list(self, options: dict[str, Any]) -> None:
        rows = list((ApiKey.objects.all() if options["all"] else ApiKey.objects.live()).select_related("user"))
        self.stdout.write(COLUMNS.format("ID", "PREFIX", "STATE", "SCOPE", "USER", "EXPIRES", "LAST USED", "NAME"))
        for row in rows:
            times = [f"{at:%Y-%m-%d %H:%M} UTC" if at else "never" for at in (row.expires_at, row.last_used_at)]
            self.stdout.write(
                COLUMNS.format(row.pk, row.prefix, row.state, row.scope, row.user.username, *times, row.name)
            )

    def _revoke(self, options: dict[str, Any]) -> None:
        wanted = options["key"]
        by_id = Q(pk=int(wanted)) if wanted.isascii() and wanted.isdigit() else Q()
        found = list(ApiKey.objects.filter(by_id | Q(prefix=wanted) if by_id else Q(prefix=wanted)))
        if len(found) != 1:
            raise CommandError(f"{len(found)} keys have the id or prefix {wanted!r}; see `manage.py apikey list --all`")
        if not found[0].revoke():
            raise CommandError(f"the key {found[0]} was revoked before")
        self.stdout.write(f"revoked {found[0]}")


def _user(username: str | None) -> User:
    if username is None:
        return first_admin()
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"there is no active user {username!r}; administrators make users at /admin/")
    return user


def _name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise ArgumentTypeError(f"{text[:MAX_NAME]!r} must be 1 to {MAX_NAME} printable characters, not only blanks")
    return name


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_DAYS:
        raise ArgumentTypeError(f"{text!r} must be a whole number from 1 to {MAX_DAYS}")
    return int(text)
