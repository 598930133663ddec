"""Durable work: the intent before the dial, exactly one request, and an end that the carrier confirms."""
