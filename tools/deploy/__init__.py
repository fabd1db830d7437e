"""Packaging and deployment."""
