"""The Huey object, one file per thing one can ask of it."""
