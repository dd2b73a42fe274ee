"""Delivery of a run's directory to a server over HTTP: behind the training's back, or later by `sync`."""
