"""Deliver: operating system images in a registry."""
