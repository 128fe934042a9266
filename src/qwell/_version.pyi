"""Written by scikit-build-core into what is installed; pyproject.toml says from what."""

__version__: str
