"""N14: keys over HTTP, for administrators."""

from typing import Any

import django_filters
from django.contrib.auth.models import User
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from mlserver.accounts.models import ApiKey
from mlserver.accounts.scopes import Scope
from mlserver.api.idempotency import idempotent
from mlserver.api.paging import KeysetPage


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    user = serializers.SlugRelatedField(
        slug_field="username",
        queryset=User.objects.filter(is_active=True),
        required=False,
        help_text="default: the caller",
    )
    state = serializers.ChoiceField(choices=("live", "expired", "revoked"), read_only=True)

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


class ApiKeyFilter(django_filters.FilterSet):  # type: ignore[misc]  # the package has no types
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
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        user = wanted.get("user", request.user)
        scope = wanted.get("scope", Scope.SUBMIT.value)
        row, key = ApiKey.objects.issue(user, wanted["name"], scope=scope, expires_at=wanted.get("expires_at"))
        shown = ApiKeySerializer(row).data | {"key": key}
        url = reverse("api-key", args=[row.pk], request=request)
        return Response(shown, status=status.HTTP_201_CREATED, headers={"Location": url})

    def perform_destroy(self, instance: ApiKey) -> None:
        instance.revoke()
