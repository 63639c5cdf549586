"""Unit tests of the manifest room."""
