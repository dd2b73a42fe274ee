"""Settings of the HTTP side that no environment variable changes: CORS, the REST framework, the schema."""

from mlserver.version import VERSION

# Any origin may read a keyed answer; cookies never travel along (C2, C21 of the API documents).
CORS_ALLOW_ALL_ORIGINS = True
CORS_ALLOW_CREDENTIALS = False
CORS_URLS_REGEX = r"^/(api/|health$|openapi\.json$)"
CORS_ALLOW_HEADERS = (
    "accept", "authorization", "content-type", "idempotency-key", "if-none-match", "if-range", "last-event-id",
    "range", "upload-offset", "x-api-key", "x-auth-token", "x-requested-with",
)  # fmt: skip
CORS_EXPOSE_HEADERS = (
    "location", "retry-after", "upload-offset", "idempotent-replayed", "x-next-offset", "content-range", "etag",
    "content-disposition", "x-row-count", "x-total-count", "x-last-step", "x-ratelimit-limit", "x-ratelimit-remaining",
    "x-ratelimit-reset",
)  # fmt: skip

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "mlserver.accounts.authentication.KeyAuthentication",
        "mlserver.accounts.authentication.TrustedLoopbackAuthentication",
        "mlserver.accounts.authentication.BrowserAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["mlserver.accounts.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": [
        "mlserver.api.rendering.OrjsonRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["mlserver.api.parsing.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "mlserver.api.schema.DoorSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "EXCEPTION_HANDLER": "mlserver.api.failures.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "mlserver",
    "VERSION": VERSION,
    "DESCRIPTION": "One training server: queue, tracking, models and datasets. Keys: `manage.py apikey create`.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": True},  # /redoc hands its key over
    "SWAGGER_UI_FAVICON_HREF": "/static/mlserver/icon.svg",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "OAS_VERSION": "3.1.0",
    "SORT_OPERATIONS": "mlserver.api.docs.in_document_order",
    "ENUM_NAME_OVERRIDES": {
        **{name: f"training.models.{name}" for name in ("TaskStatus", "RunStatus", "ExitClass", "EventType", "Source")},
        "FlowlineTaskStatus": ["queued", "running", "completed", "failed", "stopped"],
        "FlowlineProcessStatus": ["running", "killing", "stopped", "completed", "failed"],
        "FlowlineGpuStatus": ["available", "disabled"],
        "JobStatus": ["Pending", "Creating", "Running", "Completed", "Failed", "ManualTermination"],
        "PodPhase": ["Pending", "Running", "Succeeded", "Failed"],
        "KeyState": "mlserver.accounts.models.KEY_STATES",
        "DatasetFormat": "registry.models.DatasetFormat",
        "RunicornStatus": "training.api.runicorn.statuses.WORDS",
        "SessionState": "training.models.session.SessionState",
    },
}
