"""The doctor: what was observed becomes findings, findings become diagnoses, diagnoses remedies.

Standard library only, and of qwell only core, errors, config and log: it must work where the
installation is what broke.
"""
