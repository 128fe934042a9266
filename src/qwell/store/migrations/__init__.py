"""The schema, step by step. Each step can be undone; tests walk all of them both ways."""
