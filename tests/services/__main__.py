"""`python -m tests.services COMMAND...`: the command with DATABASE_URL and Q_REDIS_URL of private servers."""

import os
import subprocess
import sys

from tests.services.postgresql import is_installed as has_postgresql
from tests.services.postgresql import postgresql
from tests.services.redis_server import is_installed as has_redis
from tests.services.redis_server import redis_server


def main(command: list[str]) -> int:
    """Exit status of the command; 0 with a plain message when there is no server to start."""
    missing = [name for name, found in (("PostgreSQL", has_postgresql()), ("Redis", has_redis())) if not found]
    if missing:
        print(f"skipped on PostgreSQL and Redis: {' and '.join(missing)} not installed (apt install postgresql redis)")
        return 0
    with postgresql() as database, redis_server() as redis:
        print(f"again on PostgreSQL and Redis: {' '.join(command)}", flush=True)
        environment = os.environ | {"DATABASE_URL": database.url, "Q_REDIS_URL": redis.url}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
