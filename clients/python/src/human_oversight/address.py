"""Addresses: the gate's, and those of people."""

import re
from ipaddress import ip_address

import httpx
import idna

from .errors import SettingsError


def parse_gate(text: str) -> httpx.URL:
    """The gate's base address: `https`, or `http` on this machine, without a path behind it.

    Raises:
        SettingsError: if it is none.
    """
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, AttributeError):
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host or not _is_port(url.port):
        raise SettingsError("the gate's address (HO_URL) must be an absolute https URL")
    if url.query or url.userinfo:
        raise SettingsError("the gate's address (HO_URL) must not contain a key or a query: set HO_KEY instead")
    if url.scheme == "http" and not is_loopback(url):
        raise SettingsError(
            "the gate's address (HO_URL) must begin with https:// unless the gate is on this machine: over http "
            "anyone on the way reads the function key and can alter the answers"
        )
    # People paste `https://host/api` and `https://host/` for `https://host`.
    return url.copy_with(path=url.path.rstrip("/").removesuffix("/api") or "/", fragment=None)


def _is_port(port: int | None) -> bool:
    return port is None or 0 < port < 65_536


def is_loopback(url: httpx.URL) -> bool:
    try:
        return ip_address(url.host).is_loopback
    except ValueError:
        return url.host == "localhost"


def is_same_address(requested: str, signed: str) -> bool:
    """Compares addresses without regard to case, and domains as the gate signs them (UTS 46): an agent may name one in
    Unicode, or with characters that no one sees."""
    ascii_form = _to_ascii(requested)
    return ascii_form is not None and ascii_form == _to_ascii(signed)


def to_person(address: str) -> str:
    """A name that is equal for all addresses of one person: without regard to case and `+tag`."""
    return re.sub(r"\+.*(?=@)", "", address.lower(), flags=re.DOTALL)


def _to_ascii(address: str) -> str | None:
    local, at, domain = address.strip().rpartition("@")
    try:
        labels = idna.uts46_remap(domain, std3_rules=False, transitional=False).split(".")
        host = ".".join(it if it.isascii() else f"xn--{it.encode('punycode').decode()}" for it in labels)
    except UnicodeError:  # with a character that no domain has
        return None
    return f"{local.lower()}@{host}" if at and host else None
