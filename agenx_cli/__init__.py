"""agenx: outbound calling campaigns from the command line."""

__version__ = "0.1.0"
