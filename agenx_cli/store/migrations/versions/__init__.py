"""One file per version; ``revision`` is a number of four digits that only grows."""
