"""Packages of the project that bring features or commands, and where their pages lie."""

from __future__ import annotations

PLACES = {
    "ffm-features-qe150": "plugins/ffm-features-qe150/docs",
    "ffm-legacy": "plugins/ffm-legacy/docs",
    "ffm-forecast": "plugins/ffm-forecast/docs",
    "ffm-backbone-training": "plugins/ffm-backbone-training/docs",
}
