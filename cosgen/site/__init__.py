"""Show: published metadata becomes a static site of channels, packages and releases."""
