"""Independent uses of the engine; none imports another."""
