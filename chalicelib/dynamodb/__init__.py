"""Access to the DynamoDB table: keys, items, conditions, operations and the low-level client. No business rules."""
