"""How planned transitions become conditional DynamoDB transactions: the unit of work and what it is made of."""
