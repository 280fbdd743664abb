"""``python -m ffm_core`` is ``ffm``."""

from __future__ import annotations

from ffm_core.cli import main

if __name__ == "__main__":
    main(prog_name="ffm")
