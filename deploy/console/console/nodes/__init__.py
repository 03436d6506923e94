"""The real parts that a network on one machine stands on: a private broker, a store and a mail sink."""
