"""The simulated voice model: OpenAI's GA Realtime server, written from the protocol page."""
