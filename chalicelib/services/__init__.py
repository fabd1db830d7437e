"""What a request or a schedule does, one use case per module."""
