"""What an error of the database means to whoever typed a command: a sentence instead of a traceback."""

from django.conf import settings
from django.db.utils import DatabaseError, Error, InterfaceError, OperationalError

from mlserver.url_shapes import without_password

# PostgreSQL's codes for a table or column that is not there.
UNDEFINED = ("42P01", "42703")


def is_behind(error: Error) -> bool:
    """A table or column is missing: the database was never migrated, or not since the last update."""
    return getattr(error.__cause__, "sqlstate", None) in UNDEFINED or str(error).startswith("no such ")


def is_about_the_database(error: Error) -> bool:
    """The database is away, locked, damaged or behind; other errors are those of a statement."""
    return is_behind(error) or isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError


def explained(error: Error) -> str:
    """One line, without any password."""
    if is_behind(error):
        return "the database is not up to date: run `python manage.py migrate` first (`make run` does)"
    said = " ".join(str(error).split()) or type(error).__name__
    return f"the database cannot be used: {said} ({_where()})"


def _where() -> str:
    if settings.DATABASE_URL:
        return f"DATABASE_URL={without_password(settings.DATABASE_URL)}"
    return str(settings.DATABASES["default"]["NAME"])
