"""Put: one protocol for object stores, with create-only and conditional writes."""
