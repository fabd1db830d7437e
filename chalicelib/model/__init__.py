"""Values: records, errors, normalized keys and times. Imports no other package of the service."""
