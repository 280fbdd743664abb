"""What this package refuses, beside the errors of the core."""

from __future__ import annotations

from ffm_core.errors import DataError, UnavailableError


class ForecastError(DataError):
    """A series, a horizon or a level cannot be forecast as asked."""

    exit_code = 4
    summary = "a series, horizon or level cannot be forecast as asked"


class EnsembleError(UnavailableError):
    """A member of an ensemble is absent, or every member failed."""

    exit_code = 7
    summary = "a member of an ensemble is absent, or all of them failed"
