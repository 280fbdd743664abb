"""Plug-ins: found by metadata, loaded one by one, called behind one boundary.

The names below load on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ffm_core.host.boundary import call_plugin
    from ffm_core.host.discovery import Found, discover, pick
    from ffm_core.host.loading import open_host
    from ffm_core.host.redact import Redactor, redact_labeler
    from ffm_core.host.registry import Host, Offered

_HOMES = {
    "Found": "discovery",
    "Host": "registry",
    "Offered": "registry",
    "Redactor": "redact",
    "call_plugin": "boundary",
    "discover": "discovery",
    "open_host": "loading",
    "pick": "discovery",
    "redact_labeler": "redact",
}

__all__ = [
    "Found",
    "Host",
    "Offered",
    "Redactor",
    "call_plugin",
    "discover",
    "open_host",
    "pick",
    "redact_labeler",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"ffm_core.host.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ffm_core.host' has no attribute {name!r}")
