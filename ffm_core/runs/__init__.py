"""What an evaluation was asked, what it found, and how often anyone has asked.

``config`` and ``resolve`` hold the question, ``record`` and ``find`` the answer,
``ledger`` the count of trials and the seals, ``cache`` what need not be computed
twice. The room knows nothing of bars or models.
"""
