"""The consumer's command with a short lease, so that a test need not wait for half a minute."""

from huey.bin.huey_consumer import consumer_main
from huey.consumer import policy

policy.BEAT = 0.1
policy.LEASE = 1.5

if __name__ == "__main__":
    consumer_main()
