"""Access to the one DynamoDB table: keys, items, conditions, operations and the low-level client. It knows no rule."""
