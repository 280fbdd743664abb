"""A run record as people read it: a summary on the terminal and one HTML page.

Both take the record as stored and compute no result anew, so that a report of
an old run says what that run said.
"""
