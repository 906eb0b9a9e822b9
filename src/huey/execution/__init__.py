"""What happens to one task."""
