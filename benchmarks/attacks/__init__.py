"""Attacks on the private lane, each with a positive control: the same attack on a deliberately weak build.

An attack that its control does not reach proves nothing. What is weakened is weakened here, by constructor
arguments, subclasses and patches inside the attack; the product has no setting for it.
"""
