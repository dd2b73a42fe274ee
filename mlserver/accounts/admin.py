"""Keys and kept answers in the Django admin."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from mlserver.accounts.models import ApiKey, IdempotentAnswer
from mlserver.accounts.scopes import scope_of_user, weaker


class ApiKeyForm(ModelForm):  # type: ignore[type-arg]  # not generic at run time
    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        user, scope = data.get("user"), data.get("scope")
        if user and scope and weaker(scope, scope_of_user(user)) != scope:
            self.add_error("scope", f"{scope} is more than {user} has, which is {scope_of_user(user)}")
        return data


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    form = ApiKeyForm
    list_display = ("name", "prefix", "user", "scope", "state", "expires_at", "last_used_at")
    list_filter = ("scope", ("revoked_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__username")
    autocomplete_fields = ("user",)
    readonly_fields = ("prefix", "state", "created_at", "last_used_at", "revoked_at")
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[Any]:
        asked = ["name", "user", "scope", "expires_at"]
        return asked if obj is None else asked + list(self.readonly_fields)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        return list(self.readonly_fields) + ([] if obj is None else ["user"])

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        key = obj.give_key()
        obj.save()
        messages.warning(request, f"The key is {key} - it is shown this once only.")

    @admin.action(description="Revoke the selected keys")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = sum(row.revoke() for row in queryset)
        messages.success(request, f"{revoked} keys revoked.")


@admin.register(IdempotentAnswer)
class IdempotentAnswerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    list_display = ("key", "path", "user", "status", "created_at")
    list_filter = ("status", "created_at")
    list_select_related = ("user",)
    search_fields = ("key", "path", "user__username")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: IdempotentAnswer | None = None) -> bool:
        return False
