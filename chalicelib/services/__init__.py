"""The use cases of requests and the schedule, one per module."""
