"""`poolctl`, the command line of the customer pool: a client of the HTTP API. See docs/poolctl.md."""
