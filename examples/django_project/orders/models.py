"""Orders, and what the consumer noted about them."""

from django.db import models


class Order(models.Model):
    """Written by a request."""

    number = models.IntegerField(unique=True)

    def __str__(self) -> str:
        return f"order {self.number}"


class Shipment(models.Model):
    """Written by a task; a second run of the task finds it there."""

    number = models.IntegerField(unique=True)
    #: The order as the task saw it: it was committed before.
    order_was_there = models.BooleanField()
    runs = models.IntegerField(default=1)

    def __str__(self) -> str:
        return f"shipment of order {self.number}"
