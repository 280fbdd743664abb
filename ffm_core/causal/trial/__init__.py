"""One subject on one stream: what is asked, in which stages, and what disagreed."""
