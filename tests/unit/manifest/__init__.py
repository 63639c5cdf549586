"""Unit tests of cosgen.manifest."""
