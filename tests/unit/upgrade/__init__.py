"""Unit tests of cosgen.upgrade."""
