"""How the data of tests/compat/data was recorded from Huey 3.5.4."""
