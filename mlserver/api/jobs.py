"""URL map of the Jobs API, in the order of its document."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
