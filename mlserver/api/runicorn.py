"""URL map of the Runicorn API, in the order of its document."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
