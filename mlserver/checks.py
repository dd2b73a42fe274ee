"""Start-up checks: settings that would break the queue are refused."""
