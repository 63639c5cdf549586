"""Show: a published repository becomes a documentation site."""
