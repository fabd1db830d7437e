"""The HTTP surface: routes, request decoding, rendering of results, and the published OpenAPI document."""
