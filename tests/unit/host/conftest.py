from __future__ import annotations

from helpers.installing import install, site  # noqa: F401
