"""Unit tests of cosgen.pipeline."""
