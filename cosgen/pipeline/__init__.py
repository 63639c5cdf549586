"""Emit: a plan becomes a typed pipeline, and the pipeline becomes YAML."""
