"""What a terminal shows: text from packages, files and records that it shows and never obeys."""

from __future__ import annotations

import json
import os
import re

# C0 and C1 codes, line and paragraph separators, marks that turn the direction of writing
# or are not seen at all.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\U000e0000-\U000e007f]"
)

REVEAL = "FFM_REVEAL"  # set to 1 by --reveal: the author's own terminal shows his names


def is_revealed() -> bool:
    """Return whether the author of a private package asked to see its names, on his terminal."""
    return os.environ.get(REVEAL, "") not in ("", "0")


def one_line(text: object) -> str:
    """Return a text as one line that can neither move the cursor nor begin a line of its own."""
    return _UNSEEN.sub(" ", str(text))


def escaped(document: str) -> str:
    """Return JSON with what a terminal would obey as JSON's own escapes: the same document."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] == "\n" else json.dumps(found[0])[1:-1],
                       document)  # fmt: skip


__all__ = ["escaped", "one_line"]
