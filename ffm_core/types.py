"""Array aliases; one letter per axis, project-wide.

``T`` bars, ``N`` decisions, ``F`` features, ``S`` streams, ``D`` trading days,
``K`` folds, ``B`` resamples.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Float64: TypeAlias = npt.NDArray[np.float64]
Float32: TypeAlias = npt.NDArray[np.float32]
Int64: TypeAlias = npt.NDArray[np.int64]
Int32: TypeAlias = npt.NDArray[np.int32]
Int16: TypeAlias = npt.NDArray[np.int16]
Int8: TypeAlias = npt.NDArray[np.int8]
Bool: TypeAlias = npt.NDArray[np.bool_]
Text: TypeAlias = npt.NDArray[np.str_]
