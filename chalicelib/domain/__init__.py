"""The rules, transitions and deadlines of a customer pool.

A rule here *is* a DynamoDB condition, so that it travels with the write. That is why this package imports
`dynamodb`.
"""
