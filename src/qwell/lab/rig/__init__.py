"""What injectors work with: mounts, control groups, namespaces, proxies, broken packages, models.

Each is a context manager that is noted before it is made. Knows no fault.
"""
