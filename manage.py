#!/usr/bin/env python3
"""Command line of the server: `python manage.py help`."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlserver.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db.utils import Error

    try:
        _ = settings.INSTALLED_APPS  # a bad environment value is one line, not "unknown command"
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"mlserver: {error}")
    except Error as error:
        from mlserver.unusable_database import explained, is_about_the_database

        if "--traceback" in sys.argv or not is_about_the_database(error):
            raise
        sys.exit(f"mlserver: {explained(error)}")


if __name__ == "__main__":
    main()
