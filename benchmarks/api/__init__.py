"""What tasks and models are written against. Imports nothing of the rest of the project."""
