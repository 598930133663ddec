"""The simulated carrier: Twilio's REST API, webhooks, TwiML and media streams as a real local server.

Written from Twilio's published pages and OpenAPI description, never from our own adapters: a simulator that shares
our codec shares our mistakes. Where Twilio is strict it is strict; where Twilio promises nothing (order of
callbacks, exactly once, an answer to every request) the fault plan takes the promise away.
"""
