"""What folds are laid over: decisions that could have been traded."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ffm_core.errors import DataQualityError
from ffm_core.evaluate.folding import refuse_untraded
from ffm_core.evaluate.pool import Folded
from ffm_core.records import VOIDS


def folded(void: np.ndarray, stream: np.ndarray | None = None) -> SimpleNamespace:
    table = SimpleNamespace(
        void=void, stream=np.zeros(len(void)) if stream is None else stream,
        streams=("ES/5m", "GC/5m"),
    )  # fmt: skip
    return SimpleNamespace(pool=SimpleNamespace(table=table), test_rows=np.arange(len(void)))


def test_data_that_leave_too_little_are_refused_by_name():
    void = np.zeros(100, np.int8)
    void[60:75] = VOIDS.index("no_volume")
    void[75:81] = VOIDS.index("hole")
    with pytest.raises(DataQualityError) as caught:
        refuse_untraded(folded(void, (np.arange(100) >= 50).astype(int)))
    assert str(caught.value).startswith(
        "GC/5m: 21 % of 100 test decisions could not have been traded with these data: 15 enter or "
        "leave on a bar without volume, 6 cross a hole in the data"
    )
    assert "--accept-quality" in caught.value.fix


def test_what_the_data_are_not_to_blame_for_refuses_nothing():
    void = np.zeros(100, np.int8)
    void[:20] = VOIDS.index("hole")
    void[20:90] = VOIDS.index("small_risk")
    refuse_untraded(folded(void))
    refuse_untraded(folded(void[:0]))


def test_test_rows_are_all_decisions_of_the_test_months_and_none_that_is_sealed():
    days = np.array([10, 11, 12, 13, 14, 15, 16])
    given = SimpleNamespace(
        pool=type("Rows", (), {"table": SimpleNamespace(day=days), "__len__": lambda self: 7})(),
        plan=SimpleNamespace(folds=[SimpleNamespace(test_days=(11, 12)),
                                    SimpleNamespace(test_days=(14, 15))]),
        sealed=np.array([False] * 5 + [True] * 2),
    )  # fmt: skip
    assert Folded.test_rows.fget(given).tolist() == [1, 2, 4]
