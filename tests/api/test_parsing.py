"""What is taken as a body and as a query."""

import pytest
from django.test import Client

from mlserver.api.parsing import query_flag, query_int
from mlserver.errors import Invalid
from tests.make import make_key

WHO = "/api/v1/who"


@pytest.fixture
def client() -> Client:
    return Client(headers={"X-API-Key": make_key()})


with_urls = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]


class TestBodies:
    pytestmark = with_urls

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"{", "not JSON"),
            (b'{"a": NaN}', "not JSON"),
            (b'{"a": Infinity}', "not JSON"),
            (b'{"a": 1e999}', "not JSON"),
            (b"\xff{}", "not JSON"),
            (b'{"a": 1} x', "not JSON"),
            (b'{"a":' * 3000, "not JSON"),
            (b"[1]", "must be a JSON object"),
            (b"null", "must be a JSON object"),
        ],
    )
    def test_returns_400_when_the_body_is_not_strict_json(self, client: Client, body: bytes, words: str) -> None:
        answer = client.post(WHO, body, content_type="application/json")
        assert answer.status_code == 400
        assert words in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [(b'{"a": 1, "env": {"b": ["\\u0000"]}}', "env"), (b'{"a\\u0000": 1}', "a\\u0000"), (b'{"a": "\\u0000"}', "a")],
    )
    def test_returns_422_with_the_field_when_text_holds_nul(self, client: Client, body: bytes, field: str) -> None:
        answer = client.post(WHO, body, content_type="application/json")
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
        assert "NUL" in answer.json()["detail"]

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
    def test_returns_415_when_the_body_is_of_another_type(self, client: Client, kind: str) -> None:
        answer = client.post(WHO, b"{}", content_type=kind)
        assert answer.status_code == 415
        assert answer.json()["detail"].endswith("This call takes application/json.")

    def test_returns_413_when_the_body_is_above_a_mebibyte(self, client: Client) -> None:
        fits = b'{"a": "' + b"x" * (1024**2 - 9) + b'"}'
        assert len(fits) == 1024**2
        assert client.post(WHO, fits, content_type="application/json").status_code == 200
        answer = client.post(WHO, fits + b" ", content_type="application/json")
        assert answer.status_code == 413
        assert "1048576 bytes" in answer.json()["detail"]

    def test_an_absent_body_is_an_empty_object(self, client: Client) -> None:
        assert client.post(WHO, content_type="application/json").json()["got"] == {}
        assert client.generic("POST", WHO).json()["got"] == {}

    def test_it_takes_json_with_parameters_and_written_out_backslashes(self, client: Client) -> None:
        answer = client.post(WHO, b'{"a": "\\\\u0000"}', content_type="application/json; charset=utf-8")
        assert answer.json()["got"] == {"a": "\\u0000"}


@pytest.mark.parametrize(("raw", "flag"), [("true", True), ("1", True), ("TRUE", True), ("false", False), ("0", False)])
def test_flags_are_read_in_any_case(raw: str, flag: bool) -> None:
    assert query_flag({"a": raw}, "a") is flag


@pytest.mark.parametrize("raw", ["", "yes", "2"])
def test_it_refuses_other_flags(raw: str) -> None:
    with pytest.raises(Invalid, match="must be one of true, false, 1, 0"):
        query_flag({"a": raw}, "a")


@pytest.mark.parametrize("raw", ["", "x", "1.5", "0", "11", "-1", "٣", "9" * 5000, "1e1", " 1"])
def test_it_refuses_numbers_out_of_bounds(raw: str) -> None:
    with pytest.raises(Invalid, match="must be a whole number from 1 to 10"):
        query_int({"a": raw}, "a", default=5, at_least=1, at_most=10)


def test_it_reads_numbers_and_defaults() -> None:
    assert query_int({"a": "-3"}, "a", default=5, at_least=-5, at_most=10) == -3
    assert query_int({}, "a", default=5, at_least=1, at_most=10) == 5
    assert query_flag({}, "a", default=True) is True
