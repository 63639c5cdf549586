"""Run: build images in a container engine and extract their artifacts."""
