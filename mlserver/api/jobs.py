"""URL map of the Jobs API, in the order of its document."""

from django.urls import path

from training.api.jobs.webterminal import WebTerminal

urlpatterns = [
    # J9
    path("webterminal/<str:token>", WebTerminal.as_view()),
]
