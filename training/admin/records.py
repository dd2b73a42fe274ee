"""What all pages of rows have in common: status changes only through the services, nothing is deleted for good."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from mlserver.errors import Invalid, ServerError


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Asks the service that writes the change before it is written, so its objections stand at the fields."""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        try:
            self.check_change({name: data[name] for name in self.changed_data if name in data})
        except Invalid as error:
            for name, said in error.errors.items():
                self.add_error(name if name in self.fields else None, said)
        except ServerError as error:
            self.add_error(None, error.message)
        return data

    def check_change(self, changed: dict[str, object]) -> None:
        raise NotImplementedError


class RecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Rows that the server writes: to look at. `editable` names what a person may change."""

    editable: Sequence[str] = ()
    # A count of the whole table with every page is slow once the table has grown.
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return bool(self.editable) and super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        return [field.name for field in self.model._meta.fields if field.name not in self.editable]

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """What another request made impossible since the form was checked is refused, and nothing is written."""
        try:
            return super().change_view(request, *args, **kwargs)
        except ServerError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(request.get_full_path())


class RecordInline(admin.TabularInline):  # type: ignore[type-arg]  # not generic at run time
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


def changed(form: "forms.ModelForm[Any]") -> dict[str, object]:
    return {name: form.cleaned_data[name] for name in form.changed_data}
