"""Helpers that several tests share: the world of a test, the audit, engines and pages."""
