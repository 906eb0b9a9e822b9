"""POST makes an order, GET tells what became of it."""

from django.db import transaction
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt

from orders import tasks
from orders.models import Order, Shipment


class PaymentRefused(Exception):
    """The reason for which an order is rolled back."""


@csrf_exempt
def order(request, number):
    """Answer for one order; ``?refuse`` fails after the task was enqueued."""
    if request.method == "POST":
        return _make(number, refuse="refuse" in request.GET, within="within" in request.GET)
    shipment = Shipment.objects.filter(number=number).first()
    return JsonResponse(
        {
            "ordered": Order.objects.filter(number=number).exists(),
            "shipped": shipment is not None,
            "runs": shipment.runs if shipment else 0,
        }
    )


def _make(number, *, refuse, within):
    try:
        with transaction.atomic():
            Order.objects.create(number=number)
            (tasks.ship_within if within else tasks.ship)(number)
            if refuse:
                raise PaymentRefused
    except PaymentRefused:
        return JsonResponse({"refused": number}, status=402)
    return JsonResponse({"made": number}, status=201)
