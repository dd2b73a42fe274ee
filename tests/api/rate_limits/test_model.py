"""rate_limits.json: read strictly, written whole."""

import json
from dataclasses import replace

import orjson
import pytest

from mlserver.api.rate_limits import BadRateLimits, Limit, RateLimits, complaints_about, load, remove, save
from mlserver.api.rate_limits.rules import rule_for, template_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rate_limits.json"


def test_it_is_the_documented_table_without_a_file(path):
    limits = load(path)
    assert limits.default == Limit(60)
    documented = {
        "/api/remote/connect": 5, "/api/runs": 100, "/api/runs/soft-delete": 20, "/api/recycle-bin/empty": 5,
        "/api/runs/{run_id}/metrics": 60, "/api/runs/{run_id}/metrics_step": 60, "/api/runs/{run_id}/logs/ws": 10,
        "/api/v2/experiments": 100, "/api/v2/experiments/{id}": 200, "/api/v2/experiments/{id}/metrics/fast": 100,
        "/api/v2/experiments/batch-delete": 10, "/api/config/user_root_dir": 10, "/api/gpu/telemetry": 120,
        "/api/system/monitor": 120, "POST /api/config/ssh_connections": 20,
        "DELETE /api/config/ssh_connections/{key}": 20,
    }  # fmt: skip
    assert {rule: limit.max_requests for rule, limit in limits.endpoints.items()} == documented
    assert {limit.window_seconds for limit in limits.endpoints.values()} == {60}


def test_it_reads_a_file_in_which_most_is_left_out(path):
    path.write_text('{"_remark": "ours", "default": {"max_requests": 7}, "settings": {"whitelist_localhost": true}}')
    limits = load(path)
    assert (limits.default, limits.endpoints) == (Limit(7), RateLimits().endpoints)
    assert limits.settings == replace(RateLimits().settings, whitelist_localhost=True)


def test_endpoints_of_a_file_stand_in_place_of_the_table(path):
    path.write_text('{"endpoints": {"/api/runs": {"max_requests": 3, "window_seconds": 5, "burst_size": 2}}}')
    assert load(path).endpoints == {"/api/runs": Limit(3, 5, 2)}
    path.write_text('{"endpoints": {}}')
    assert load(path).endpoints == {}


def test_it_writes_what_it_reads(path):
    save(RateLimits(), path)
    assert load(path) == RateLimits()
    assert set(json.loads(path.read_text())) == {"default", "endpoints", "settings"}
    changed = replace(RateLimits(), endpoints={"/api/runs": Limit(3, 5, 2, "few")})
    save(changed, path)
    assert load(path) == changed
    remove(path)
    remove(path)
    assert load(path) == RateLimits()


def test_it_writes_nothing_that_it_would_refuse(path):
    with pytest.raises(BadRateLimits, match="max_requests: 0 must be"):
        save(replace(RateLimits(), default=Limit(0)), path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "it is not JSON"),
        ("[]", "must hold a JSON object"),
        ("null", "must hold a JSON object"),
        ('{"defaults": {}}', "defaults is unknown; known are default, endpoints, settings"),
        ('{"default": {}}', "default: max_requests is missing"),
        ('{"default": 5}', "default: 5 must be an object"),
        ('{"default": {"max_requests": 0}}', "default.max_requests: 0 must be a whole number from 1 to 100000"),
        ('{"default": {"max_requests": true}}', "default.max_requests: true must be"),
        ('{"default": {"max_requests": 1.5}}', "default.max_requests: 1.5 must be"),
        ('{"default": {"max_requests": 5, "window_seconds": 86401}}', "default.window_seconds: 86401 must be"),
        ('{"default": {"max_requests": 5, "burst_size": 0}}', "default.burst_size: 0 must be null or"),
        ('{"default": {"max_requests": 5, "burst": 1}}', "default.burst is unknown"),
        ('{"default": {"max_requests": 5, "description": null}}', "default.description: null must be text"),
        ('{"endpoints": []}', "endpoints: [] must be an object"),
        ('{"endpoints": {"runs": {"max_requests": 5}}}', 'endpoints: "runs" must be a path'),
        ('{"endpoints": {"/api/runs/": {"max_requests": 5}}}', 'endpoints: "/api/runs/" must be a path'),
        ('{"endpoints": {"LOOK /api/runs": {"max_requests": 5}}}', "must be a path"),
        ('{"endpoints": {"/api/runs": {}}}', 'endpoints["/api/runs"]: max_requests is missing'),
        ('{"settings": []}', "settings: [] must be an object"),
        ('{"settings": {"log_violations": "yes"}}', 'settings.log_violations: "yes" must be true or false'),
        ('{"settings": {"enabled": true}}', "settings.enabled is unknown"),
        ('{"settings": {"custom_headers": {"rate_limit_header": "X: y"}}}', "must be the name of a header"),
        (
            '{"settings": {"custom_headers": {"rate_limit_header": "x-ratelimit-reset"}}}',
            "settings.custom_headers: the three names must differ",
        ),
    ],
)
def test_it_says_what_is_wrong_with_a_file(text, words, path):
    path.write_text(text)
    with pytest.raises(BadRateLimits) as refusal:
        load(path)
    assert words in str(refusal.value)


def test_it_names_everything_that_is_wrong():
    data = orjson.loads('{"x": 1, "default": {"max_requests": 0}, "settings": {"log_violations": 1}}')
    assert len(complaints_about(data)) == 3


def test_it_does_not_read_what_is_no_file_or_no_end(path):
    path.write_text(" " * 1024**2 + "{}")
    with pytest.raises(BadRateLimits, match="larger than"):
        load(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(BadRateLimits, match="cannot be read: Is a directory"):
        load(path)


@pytest.mark.parametrize(
    ("route", "template"),
    [
        ("api/runs", "/api/runs"),
        ("api/runs/<str:run_id>/metrics", "/api/runs/{run_id}/metrics"),
        ("api/x/<name>/v<int:version>", "/api/x/{name}/v{version}"),
        (r"^api/artifacts/(?P<name>[^/:]+)/v(?P<version>\d+)\Z", "/api/artifacts/{name}/v{version}"),
    ],
)
def test_it_writes_routes_as_documents_do(route, template):
    assert template_of(route) == template


@pytest.mark.parametrize(
    ("method", "template", "rule"),
    [
        ("GET", "/api/runs", "/api/runs"),
        ("GET", "/api/runs/{run_id}", None),
        ("GET", "/api/run", None),
        ("GET", "/api/runsx", None),
        ("GET", "/api/v2/experiments/{id}", "/api/v2/experiments/{id}"),
        ("POST", "/api/v2/experiments/batch-delete", "/api/v2/experiments/batch-delete"),
        ("GET", "/api/v2/experiments/{pk}/metrics/fast", "/api/v2/experiments/{id}/metrics/fast"),
        ("GET", "/api/config/ssh_connections", None),
        ("POST", "/api/config/ssh_connections", "POST /api/config/ssh_connections"),
    ],
)
def test_it_finds_the_rule_of_a_row_by_whole_segments(method, template, rule):
    assert rule_for(RateLimits().endpoints, method, template) == rule


def test_the_rule_with_most_words_of_its_own_counts():
    rules = dict.fromkeys(["/api/*/*", "/api/runs/*", "/api/runs/{id}", "GET /api/runs/{id}"], Limit(1))
    assert rule_for(rules, "GET", "/api/runs/{run_id}") == "GET /api/runs/{id}"
    assert rule_for(rules, "PUT", "/api/runs/{run_id}") == "/api/runs/{id}"
    assert rule_for(rules, "POST", "/api/runs/soft-delete") == "/api/runs/*"
    assert rule_for(rules, "GET", "/api/config/x") == "/api/*/*"
    assert rule_for(rules, "GET", "/api/a/b/c") is None
