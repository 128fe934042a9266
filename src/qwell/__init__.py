"""qwell: private streaming chat for Qwen2.5 on CPUs, and the doctor that keeps it well.

Importing this package loads nothing but the standard library: the doctor must start
when site-packages is what broke.
"""

__all__ = ["__version__"]

try:
    from qwell._version import __version__  # written when the package is built
except ModuleNotFoundError:  # a source tree that runs without having been built
    from qwell.checkout import version

    __version__ = version()
