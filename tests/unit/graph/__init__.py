"""Unit tests of the room graph."""
