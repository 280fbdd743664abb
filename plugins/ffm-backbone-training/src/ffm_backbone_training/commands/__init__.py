"""The commands of this package below ``ffm backbone``."""
