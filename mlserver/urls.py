"""All URLs of the server. Paths are exact: no redirect adds a slash (C22); only the Django admin has slashes."""

from django.contrib import admin
from django.urls import include, path

from mlserver.api.docs import RedocPage, SwaggerPage, openapi
from mlserver.pages import health, index, runicorn_health

urlpatterns = [
    path("", index, name="index"),
    path("health", health),
    path("api/health", runicorn_health),
    path("openapi.json", openapi, name="schema"),
    path("docs", SwaggerPage.as_view(), name="docs"),
    path("redoc", RedocPage.as_view(), name="redoc"),
    path("admin/", admin.site.urls),
    path("", include("mlserver.api.native")),
]

handler400 = "mlserver.api.failures.handler400"
handler403 = "mlserver.api.failures.handler403"
handler404 = "mlserver.api.failures.handler404"
handler500 = "mlserver.api.failures.handler500"
