"""The feature set ``ffm68-legacy``; :mod:`.assembled` holds it."""
