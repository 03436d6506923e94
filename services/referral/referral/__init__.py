"""Referral: carries a client from the sender to a school that takes them on."""
