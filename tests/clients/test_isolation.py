"""The client stands alone: jobs have it in environments where nothing else is."""

import json
import subprocess
import sys

import pytest

from tests.clients.scripts import CLIENT

pytestmark = pytest.mark.process

IMPORT_ALL = """
import json, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import mlserver_client
names = [m.name for m in pkgutil.walk_packages(mlserver_client.__path__, "mlserver_client.")]
for name in names:
    if not name.startswith(("mlserver_client.api", "mlserver_client.__main__")):
        __import__(name)
print(json.dumps([names, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_logging_needs_the_standard_library_only() -> None:
    """Without site-packages: anything else would not be found."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(CLIENT)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    names, loaded = json.loads(done.stdout)
    assert len(names) > 15
    assert set(loaded) - set(sys.stdlib_module_names) <= {"mlserver_client", "__main__", "__mp_main__"}


def test_it_is_imported_quickly() -> None:
    """Each job pays for it: no package is read that logging does not need."""
    code = (
        "import sys, mlserver_client; print(sorted(set(sys.modules) & {'requests', 'numpy', 'pandas', 'PIL', 'rich'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=CLIENT)
    assert done.stdout == "[]\n"
