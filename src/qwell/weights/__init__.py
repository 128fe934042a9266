"""Model files: find, fetch, verify, read and pack them. Knows nothing of engines or HTTP."""
