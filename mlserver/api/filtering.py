"""Query filters of lists that name field, value and rule of what they refuse."""

# mypy: disable-error-code="misc"
# django-filter has no types, so its classes are Any to the checker.

from typing import Any

import django_filters as filters
from django import forms
from django.core.exceptions import ValidationError

from mlserver.api.parsing import FALSE, TRUE
from mlserver.errors import Invalid, shown


class StrictBooleanField(forms.Field):
    """`true`, `false`, `1`, `0`; Django's own field takes any other word for "not asked"."""

    def clean(self, value: Any) -> bool | None:
        if value in (None, ""):
            return None
        if str(value).lower() in TRUE + FALSE:
            return str(value).lower() in TRUE
        raise ValidationError("refused")


class Flag(filters.BooleanFilter):
    field_class = StrictBooleanField


class WholeField(forms.IntegerField):
    """What a column can hold: of longer numbers databases and their drivers fail."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=-(2**63), max_value=2**63 - 1, **options)


class Id(filters.NumberFilter):
    """The number of a row."""

    field_class = WholeField


class Filters(filters.FilterSet):
    """Checked before the rows are looked at: `is_valid` raises Invalid with every refused filter at once."""

    def is_valid(self) -> bool:
        errors = {name: [self._objection(name)] for name in self.form.errors}
        if errors:
            raise Invalid.fields(errors)
        return True

    def _objection(self, name: str) -> str:
        field = self.form.fields[name]
        values = self.form.data.getlist(name)
        if not isinstance(field, forms.ChoiceField):
            return f"{shown(values[-1])} must be {_rule(field)}"
        words = [str(word) for word, _ in list(field.choices) if word]  # type: ignore[arg-type]  # it is a list here
        refused = next((value for value in values if value not in words), values[-1])
        return f"{shown(refused)} must be one of {', '.join(words)}"


def _rule(field: forms.Field) -> str:
    if isinstance(field, StrictBooleanField):
        return "one of true, false, 1, 0"
    if isinstance(field, forms.IntegerField):
        return "a whole number of 64 bits"
    if isinstance(field, forms.DateTimeField):
        return "an instant of ISO 8601, as 2026-01-31T12:00:00Z"
    return "text without control characters"
