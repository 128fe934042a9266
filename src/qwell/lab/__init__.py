"""The fault lab: every fault caused for real, then seen, named, cured, verified and taken back.

Drives qwell from outside, by its commands and over HTTP, as a person does. Knows nothing of how
the doctor comes to its verdict.
"""
