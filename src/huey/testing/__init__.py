"""What tests of applications and of storages may use: a pytest plugin, and the contract of storages."""
