"""N14: keys over HTTP, for administrators."""

from typing import Any

import django_filters
from django.contrib.auth.models import User
from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from mlserver.accounts.models import KEY_STATES, ApiKey
from mlserver.accounts.scopes import Scope
from mlserver.api.filtering import Filters
from mlserver.api.idempotency import idempotent
from mlserver.api.paging import KeysetPage
from mlserver.errors import Invalid, NotFound, shown

RULES = {
    "name": "must be text of 1-100 characters",
    "user": "must be the name of an active user",
    "scope": f"must be one of {', '.join(Scope.values)}",
    "expires_at": "must be an instant of ISO 8601, as 2027-01-31T12:00:00Z, or null",
}


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    user = serializers.SlugRelatedField(
        slug_field="username",
        queryset=User.objects.filter(is_active=True),
        required=False,
        help_text="default: the caller",
    )
    state = serializers.ChoiceField(choices=KEY_STATES, read_only=True)

    class Meta:
        model = ApiKey
        fields = [
            "id", "name", "user", "prefix", "scope", "state",
            "expires_at", "created_at", "last_used_at", "revoked_at",
        ]  # fmt: skip
        read_only_fields = ("prefix", "created_at", "last_used_at", "revoked_at")


class NewApiKeySerializer(ApiKeySerializer):
    """The answer to a creation, the only one that shows the key."""

    key = serializers.CharField(read_only=True, allow_null=True, help_text="null when the creation is repeated")

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]


class ApiKeyFilter(Filters):
    user = django_filters.CharFilter(field_name="user__username", help_text="username")

    class Meta:
        model = ApiKey
        fields = ("user", "scope")


@extend_schema_view(
    list=extend_schema(tags=["api-keys"], summary="List API keys"),
    retrieve=extend_schema(tags=["api-keys"], summary="Read one API key"),
    create=extend_schema(
        tags=["api-keys"],
        summary="Make an API key",
        description="The answer is the only one that shows `key`; repeated with the same Idempotency-Key it is null.",
        responses={201: NewApiKeySerializer},
    ),
    destroy=extend_schema(
        tags=["api-keys"],
        summary="Revoke an API key",
        description="It is refused from now on; the row stays, to tell what the key was.",
        responses={204: OpenApiResponse(description="it is revoked")},
    ),
)
class ApiKeyViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[ApiKey]
):
    """Keys of all users. DELETE revokes: the row stays, to tell what the key was."""

    queryset = ApiKey.objects.select_related("user")
    serializer_class = ApiKeySerializer
    pagination_class = KeysetPage
    ordering = "-id"
    ordering_fields = ("id", "name", "created_at", "last_used_at", "expires_at")
    filterset_class = ApiKeyFilter
    read_scope = required_scope = Scope.ADMIN.value

    def get_serializer_class(self) -> type[ApiKeySerializer]:
        return NewApiKeySerializer if self.action == "create" else ApiKeySerializer

    @idempotent(secret_fields=("key",))
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        if not serializer.is_valid():
            raise Invalid.fields({name: [_objection(name, dict(request.data))] for name in serializer.errors})
        wanted = serializer.validated_data
        user = wanted.get("user", request.user)
        scope = wanted.get("scope", Scope.SUBMIT.value)
        row, key = ApiKey.objects.issue(user, wanted["name"], scope=scope, expires_at=wanted.get("expires_at"))
        shown = ApiKeySerializer(row).data | {"key": key}
        url = reverse("api-key", args=[row.pk], request=request)
        return Response(shown, status=status.HTTP_201_CREATED, headers={"Location": url})

    def get_view_name(self) -> str:
        return "API key" if getattr(self, "detail", False) else "API keys"

    def get_object(self) -> ApiKey:
        try:
            return super().get_object()
        except Http404 as error:
            raise NotFound(f"API key {self.kwargs['pk']} does not exist") from error

    def perform_destroy(self, instance: ApiKey) -> None:
        instance.revoke()


def _objection(name: str, data: dict[str, Any]) -> str:
    return f"{shown(data[name]) if name in data else 'it is missing and'} {RULES[name]}"
