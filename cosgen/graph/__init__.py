"""Think: what to build, in which order, under which name. Pure."""
