"""Boosters as bytes and back: universal binary JSON, numbers and names without code."""

from __future__ import annotations

from typing import Any

from ffm_core.errors import ModelError

_FORMAT = "ubj"


def booster_bytes(booster: Any) -> bytes:
    """Return a booster's trees."""
    return bytes(booster.save_raw(raw_format=_FORMAT))


def booster_of(data: bytes) -> Any:
    """Read a booster back; it answers the same bits on one thread.

    Raises
    ------
    ModelError
        When the bytes hold no booster.
    """
    import xgboost as xgb

    booster = xgb.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(data))
    except (xgb.core.XGBoostError, ValueError) as error:
        raise ModelError("stored trees cannot be read by xgboost", fix="fit them again") from error
    return booster
