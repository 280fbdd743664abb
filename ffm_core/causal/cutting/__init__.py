"""Where the falsifier cuts a series, and copies of bars that are cut, changed or mirrored."""
