"""The only SQL. ``open_store(url)`` gives a ``Store``; each method of its aggregates is one transaction."""
