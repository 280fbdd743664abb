"""Find the line of a plug-in that a finding is about."""

from __future__ import annotations

from ffm_core.causal.session import Finding, Session


def line_of(session: Session, finding: Finding) -> str:
    """Return ``file.py:42: source`` for a finding, or nothing; private code is not shown."""
    return "" if session.subject.private else finding.line


__all__ = ["line_of"]
