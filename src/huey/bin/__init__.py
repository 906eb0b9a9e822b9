"""Commands under the names that Huey has always had."""
