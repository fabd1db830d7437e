"""What writes the generated pages and pictures."""
