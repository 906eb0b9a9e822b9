"""What tests of applications and of storages may use."""
