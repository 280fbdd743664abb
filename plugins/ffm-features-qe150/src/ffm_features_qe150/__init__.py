"""150 features for FFM, switched on by ``--features qe150``."""
