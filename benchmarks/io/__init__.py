"""Reading and writing files: checked when read, whole or absent when written."""
