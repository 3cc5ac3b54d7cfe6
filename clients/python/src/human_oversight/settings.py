"""The settings of an agent, from the environment."""

import os
from typing import Any

import httpx

from .errors import SettingsError


def read_settings() -> dict[str, Any]:
    """Those of `Gate`, by name.

    Raises:
        SettingsError: if none names the gate.
    """
    legacy = _legacy_url()
    url = _read("HO_URL") or legacy[0]
    if not url:
        is_ignored = _read("HO_LOGIC_APP_URL") is not None
        why = "; HO_LOGIC_APP_URL counts only with the path /api/submit of a gate" if is_ignored else ""
        raise SettingsError(f"HO_URL is not set: it must be the gate's address{why}")
    return {
        "url": url,
        "key": _read("HO_KEY") or legacy[1],
        "audience": _read("HO_AUDIENCE"),
        "keys": _read("HO_KEYS"),
        "issuers": _read_list("HO_ISSUER"),
        "approvers": _read_list("APPROVER_EMAILS"),
        "claim_key": _read("HO_CLAIM_KEY"),
    }


def _read(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _read_list(name: str) -> list[str]:
    return [item.strip() for item in (_read(name) or "").split(",") if item.strip()]


def _legacy_url() -> tuple[str | None, str | None]:
    """Address and key of a gate to which the legacy decorator's variable points; not of the legacy Logic App."""
    try:
        url = httpx.URL(_read("HO_LOGIC_APP_URL") or "")
    except httpx.InvalidURL:
        return None, None
    if not url.path.endswith("/api/submit"):
        return None, None
    base = url.copy_with(path=url.path.removesuffix("/api/submit") or "/", query=None)
    return str(base), url.params.get("code")
