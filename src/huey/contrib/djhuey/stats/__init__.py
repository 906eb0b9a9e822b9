"""A page in Django's admin: queues, consumers, waiting, scheduled, dead and recent tasks."""
