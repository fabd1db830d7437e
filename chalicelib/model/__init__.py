"""The values of the domain: records, errors, normalized keys and times. It imports nothing of the service."""
