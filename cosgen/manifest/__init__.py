"""Read: YAML, Go templates and values become one `Tree`."""
