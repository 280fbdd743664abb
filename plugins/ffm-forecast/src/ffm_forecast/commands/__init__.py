"""``ffm forecast`` and ``ffm backbone eval``."""
