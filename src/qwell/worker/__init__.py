"""The process boundary: a child owns backend and engine; the parent supervises it.

A native crash kills the child only. Knows nothing of HTTP. Nothing is imported here: the child
would load the parent's side, too.
"""
