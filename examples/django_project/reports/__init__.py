"""The app of reports."""
