"""URL map of the FlowLine API, in the order of its document."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
