"""`poolctl`, the customer pool from the command line. Goes through the HTTP API like any client; docs/poolctl.md."""
