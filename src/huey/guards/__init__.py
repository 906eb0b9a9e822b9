"""What stands before task code and may refuse entry."""
