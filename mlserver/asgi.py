"""`mlserver.asgi.application`, what an ASGI server serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlserver.settings")
wsgi = get_wsgi_application()

from django.conf import settings  # noqa: E402  after Django was set up

from mlserver.serving.application import Application  # noqa: E402

application = Application(wsgi, threads=settings.WEB_THREADS)
