"""Unit tests of the site room."""
