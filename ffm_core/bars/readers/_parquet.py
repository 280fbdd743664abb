"""Read Parquet: our own files, and frames saved by pandas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as papq

from ffm_core.bars.readers._columns import NEEDED, STAMP, Raw, choose_columns
from ffm_core.errors import SchemaError

MOST_ROWS = 50_000_000  # a second a bar for two years around the clock


def read_parquet(path: Path, columns: Mapping[str, str] | None) -> Raw:
    """Read the columns of bars from a Parquet file.

    Raises
    ------
    SchemaError
        For a damaged file, missing columns or columns of the wrong type.
    """
    try:
        schema = papq.read_schema(path)
        chosen = choose_columns(path.name, schema.names, columns)
        table = read_table(path, path.name, columns=list(dict.fromkeys(chosen.values())))
    except MemoryError:  # pyarrow's own is a fault of a file, too
        raise
    except (pa.ArrowException, OSError) as err:
        reason = str(err).splitlines()[0]
        raise SchemaError(
            f"{path.name}: a damaged Parquet file: {reason}", fix="download the file again"
        ) from err
    for ours in NEEDED:
        if ours in chosen and not _numeric(schema.field(chosen[ours]).type):
            raise SchemaError(
                f"{path.name}: column {chosen[ours]} holds {schema.field(chosen[ours]).type}, "
                "expected numbers",
                fix="convert the column to numbers at its source",
            )
    frame = pl.from_arrow(table.replace_schema_metadata(None))
    if not isinstance(frame, pl.DataFrame):  # pragma: no cover - a table stays a frame
        raise SchemaError(f"{path.name}: contains no table")
    return Raw(_named(frame, chosen), path.name, 1, "row")


def read_table(source: Any, name: str, *, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet table of bars, which may hold a thousand times the rows its size suggests.

    Raises
    ------
    SchemaError
        When it has more rows than anybody has bars of one market.
    """
    rows = papq.read_metadata(source).num_rows
    if rows > MOST_ROWS:
        raise SchemaError(
            f"{name}: holds {rows:,} rows, and {MOST_ROWS:,} are the most that is read",
            fix="resample the bars, or split the file by years",
        )
    if hasattr(source, "seek"):
        source.seek(0)
    return papq.read_table(source, columns=columns)


def _numeric(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)
    )


def _named(frame: pl.DataFrame, chosen: Mapping[str, str]) -> pl.DataFrame:
    out = frame.select(
        pl.col(theirs).cast(pl.Float64).alias(ours)
        if ours in NEEDED
        else pl.col(theirs).alias(ours)
        for ours, theirs in chosen.items()
    )
    if "volume" not in chosen:
        out = out.with_columns(pl.lit(0.0).alias("volume"))
    if "contract" in chosen:
        out = out.with_columns(pl.col("contract").cast(pl.String))
    return out.select(STAMP, *NEEDED, *(["contract"] if "contract" in chosen else []))
