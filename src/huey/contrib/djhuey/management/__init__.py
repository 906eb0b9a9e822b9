"""What Django looks for the commands in."""
