"""Unit tests of cosgen.repository."""
