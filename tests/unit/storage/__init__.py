"""Unit tests of the room cosgen.storage."""
