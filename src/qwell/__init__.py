"""qwell: private streaming chat for Qwen2.5 on CPUs, and the doctor that keeps it well.

Importing this package loads nothing but the standard library: the doctor must start
when site-packages is what broke.
"""

__version__ = "0.1.0"
