"""Keep: artifacts become an index, snapshots, a commit log, channels and signatures."""
