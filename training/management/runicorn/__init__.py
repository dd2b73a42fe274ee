"""The commands of Runicorn's own command line, on the runs of this server. See docs/import.md."""
