"""Host names this machine answers to when ALLOWED_HOSTS is not set."""

import ipaddress
import socket


class IpLiteral(str):
    """An ALLOWED_HOSTS entry equal to every IP address written as a literal.

    A Host header with a literal address cannot come from a rebinding attack, which needs a name.
    Django compares entries with `pattern == host` after lower-casing, so equality is all it takes.
    """

    def __new__(cls) -> "IpLiteral":
        return super().__new__(cls, "<ip literal>")

    def __eq__(self, host: object) -> bool:
        try:
            ipaddress.ip_address(str(host).strip("[]"))
        except ValueError:
            return False
        return True

    def __hash__(self) -> int:
        return hash(str(self))

    def lower(self) -> "IpLiteral":
        return self


def own_host_names() -> list[str]:
    """localhost, this machine's names, and every IP literal."""
    names = {socket.gethostname().lower(), socket.getfqdn().lower()}
    return ["localhost", ".localhost", *sorted(names - {"localhost"}), IpLiteral()]
