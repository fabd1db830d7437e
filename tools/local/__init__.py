"""What `make run` and the tests need on one machine: engines, the local gateway, tokens."""
