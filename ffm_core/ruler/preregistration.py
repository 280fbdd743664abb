"""What was promised before the data were seen, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ffm_core.errors import ConfigError
from ffm_core.records import Claim, VerdictCheck


def prereg(
    claim: Claim, checks: Sequence[VerdictCheck], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the ``prereg`` block of a run record: claim, checks, settings and hash.

    Parameters
    ----------
    claim : str
        ``selection`` or ``trigger``.
    checks : sequence of VerdictCheck
        The set in use; checks of the other claim are left out.
    settings : mapping
        Whatever else was fixed beforehand (fold lengths, take share, number of
        permutations, …); JSON values only.
    """
    listed = [
        {"name": check.name, "constants": dict(sorted(check.constants.items()))}
        for check in checks
        if claim in check.claims
    ]
    promised = {"claim": claim, "checks": listed, "settings": dict(settings)}
    return {"hash": _hash(promised), **promised}


def prereg_hash(claim: Claim, checks: Sequence[VerdictCheck], settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a pre-registration, in hexadecimal.

    Raises
    ------
    ConfigError
        When a setting is not a finite JSON value.
    """
    return str(prereg(claim, checks, settings)["hash"])


def _hash(promised: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(
            promised, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the pre-registration cannot be written down: {error}") from error
    return hashlib.sha256(text.encode()).hexdigest()
