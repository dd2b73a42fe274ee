"""Versioned content: artifacts, their files, and the blobs that hold each content once."""
