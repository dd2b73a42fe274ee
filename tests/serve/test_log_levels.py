"""--log-level and LOG_LEVEL take the words of the document."""

import subprocess
import sys
from pathlib import Path

import pytest

from mlserver.serving import Refused
from mlserver.serving.options import parse_log_level
from tests.serving import REPOSITORY, server_environment

WORDS = ("critical", "error", "warning", "info", "debug", "trace")


@pytest.mark.parametrize("word", WORDS)
def test_the_option_takes(word: str) -> None:
    assert parse_log_level(word) == ("debug" if word == "trace" else word)


def test_the_option_refuses_other_words_and_names_these() -> None:
    with pytest.raises(Refused, match=", ".join(WORDS)):
        parse_log_level("loud")


@pytest.mark.process
@pytest.mark.parametrize(("word", "level"), [("critical", "CRITICAL"), ("trace", "DEBUG")])
def test_the_variable_takes(word: str, level: str, tmp_path: Path) -> None:
    say = "import django, logging; django.setup(); print(logging.getLevelName(logging.getLogger().level))"
    env = server_environment(tmp_path / "home") | {"LOG_LEVEL": word}
    done = subprocess.run([sys.executable, "-c", say], cwd=REPOSITORY, env=env, capture_output=True, text=True)
    assert done.stdout == f"{level}\n", done.stderr


@pytest.mark.process
def test_the_option_holds_when_everything_is_loaded(tmp_path: Path) -> None:
    say = (
        "import django, logging; django.setup()\n"
        "from mlserver.serving.options import Options\nfrom mlserver.serving.preload import preload\n"
        "given = dict.fromkeys(('host', 'port', 'api_keys', 'tls_cert', 'tls_key'))\n"
        "Options.parse(given | {'listen': [], 'reload': False, 'log_level': 'error'}).apply(); preload()\n"
        "print(logging.getLevelName(logging.getLogger().level))"
    )
    env = server_environment(tmp_path / "home")
    done = subprocess.run([sys.executable, "-c", say], cwd=REPOSITORY, env=env, capture_output=True, text=True)
    assert done.stdout == "ERROR\n", done.stderr
