"""Measurements: how fast, how steady under load, how well it survives.

Nothing here is needed to serve; what it needs beyond the base is the extra `bench`.
"""
