"""The demonstration: a made-up city, its catalog and policies, its two parties.

Nothing here is real, and everything made here says so: policies are `synthetic`, keys are `demo`.
"""
