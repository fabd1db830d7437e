"""Turn planned transitions into conditional DynamoDB transactions: the unit of work and its parts."""
