"""One module per generated reference page; each has a function ``page`` that returns it."""
