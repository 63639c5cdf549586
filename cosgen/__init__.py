"""cosgen: pipelines, builds, repositories and release docs for systems made of package trees."""

__version__ = "0.1.0"
