"""Private PostgreSQL and Redis servers on free loopback ports, for as long as a test run needs them."""
