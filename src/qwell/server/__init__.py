"""HTTP, and nothing else: the only package that knows status codes, headers and wire JSON.

It knows a worker by worker_protocol.py alone: no tokens, no tensors, no processes.
"""
