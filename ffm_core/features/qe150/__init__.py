"""The 150 features of ``qe150``, one step program per family."""
