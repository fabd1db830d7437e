"""Publishes the table's stream to EventBridge."""
