"""All URLs of the server. Paths are exact: no redirect adds a slash (C22); only the Django admin has slashes."""

from django.contrib import admin
from django.urls import include, path

from mlserver.accounts.login import limits_logins, login, logout
from mlserver.accounts.permissions import open_route
from mlserver.api.docs import RedocPage, SwaggerPage, openapi, redoc_script
from mlserver.pages import health, index, runicorn_health

# Under the name that the browsable pages look for when they offer to log in and out.
sessions = [path("login", login, name="login"), path("logout", logout, name="logout")]

admin.site.site_header = admin.site.site_title = "mlserver"
admin.site.index_title = "Administration"

urlpatterns = [
    path("", index, name="index"),
    path("health", health),
    path("api/health", runicorn_health),
    path("openapi.json", openapi, name="schema"),
    path("docs", SwaggerPage.as_view(), name="docs"),
    path("redoc", RedocPage.as_view(), name="redoc"),
    path("redoc.js", redoc_script, name="redoc-script"),
    path("", include((sessions, "rest_framework"))),
    # Before the admin's own, which knows no limit.
    path("admin/login/", open_route(limits_logins(admin.site.login))),
    path("admin/", admin.site.urls),
    path("", include("mlserver.api.native")),
    path("", include("mlserver.api.sessions")),
    path("", include("mlserver.api.flowline")),
    path("", include("mlserver.api.runicorn")),
    path("", include("mlserver.api.jobs")),
]

handler400 = "mlserver.api.failures.handler400"
handler403 = "mlserver.api.failures.handler403"
handler404 = "mlserver.api.failures.handler404"
handler500 = "mlserver.api.failures.handler500"
