"""Who is at the other end of the connection: the TCP peer, and the client that a trusted proxy names."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
META_KEY = "mlserver.peer"
IPV6_SITE_BITS = 64
PROXY_HEADERS = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")


@dataclass(frozen=True)
class Peer:
    """`address` is the client as far as it can be believed, `tcp_address` the other end of the connection."""

    address: str
    tcp_address: str
    is_forwarded: bool

    @property
    def is_direct_loopback(self) -> bool:
        """On this machine by its TCP address, and no proxy shows itself."""
        address = parse_address(self.tcp_address)
        return address is not None and address.is_loopback and not self.is_forwarded


class PeerMiddleware:
    """Finds the peer of each request; comes first, before anything reads the address or the scheme."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        meta, proxies = request.META, trusted_networks(tuple(settings.TRUSTED_PROXIES))
        peer = find_peer(meta, proxies)
        if is_trusted(peer.tcp_address, proxies):
            meta["REMOTE_ADDR"] = peer.address
            if meta.get("HTTP_X_FORWARDED_PROTO", "").strip().lower() == "https":
                meta["wsgi.url_scheme"] = "https"
        meta[META_KEY] = peer
        return self.get_response(request)


def peer_of(request: HttpRequest | Request) -> Peer:
    """The peer the middleware found."""
    found = request.META.get(META_KEY)
    return found if isinstance(found, Peer) else find_peer(request.META, ())


def find_peer(meta: Mapping[str, object], proxies: Sequence[Network]) -> Peer:
    """`X-Forwarded-For` is read from its end, and only as far as every address on the way is a trusted proxy."""
    tcp_address = address = str(meta.get("REMOTE_ADDR") or "")
    hops = [hop.strip() for hop in str(meta.get("HTTP_X_FORWARDED_FOR") or "").split(",") if hop.strip()]
    while hops and is_trusted(address, proxies):
        hop = hops.pop()
        if parse_address(hop) is None:
            break
        address = hop
    is_forwarded = any(name in PROXY_HEADERS or name.startswith("HTTP_X_FORWARDED_") for name in meta)
    return Peer(address, tcp_address, is_forwarded)


def is_trusted(address: str, proxies: Sequence[Network]) -> bool:
    parsed = parse_address(address) if proxies else None
    return parsed is not None and any(parsed in network for network in proxies)


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is no address; IPv4 written inside IPv6 is IPv4."""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=4096)
def site_of(address: str) -> str:
    """Who is counted as one: one IPv6 site owns 2**64 addresses."""
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, IPV6_SITE_BITS), strict=False))
    return str(parsed or address)


@lru_cache(maxsize=8)
def trusted_networks(entries: tuple[str, ...]) -> tuple[Network, ...]:
    """TRUSTED_PROXIES as networks; the settings refuse entries that are none."""
    return tuple(ipaddress.ip_network(entry) for entry in entries)
