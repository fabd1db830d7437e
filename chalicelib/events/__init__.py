"""From the table's stream to EventBridge."""
