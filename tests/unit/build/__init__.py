"""Unit tests of cosgen.build."""
