"""Read and drive a server: `from mlserver_client import api; client = api.connect(url, api_key=...)`.

Needs requests (`pip install 'mlserver-client[api]'`); the DataFrames of `api.utils` need pandas as well.
"""

from mlserver_client.api.client import RunicornClient, connect
from mlserver_client.api.exceptions import (
    AuthenticationError,
    BadRequestError,
    ConnectionError,
    NotFoundError,
    RunicornAPIError,
    ServerError,
)
from mlserver_client.api.models import Artifact, Experiment, MetricPoint, MetricSeries, Project, RemoteSession

__all__ = [
    "Artifact",
    "AuthenticationError",
    "BadRequestError",
    "ConnectionError",
    "Experiment",
    "MetricPoint",
    "MetricSeries",
    "NotFoundError",
    "Project",
    "RemoteSession",
    "RunicornAPIError",
    "RunicornClient",
    "ServerError",
    "connect",
]
