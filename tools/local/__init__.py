"""The service on one machine, for `make run` and tests: DynamoDB engines, API Gateway, tokens."""
