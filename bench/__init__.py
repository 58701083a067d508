"""Measurements: this switch and its peers side by side. Start with README.md."""
