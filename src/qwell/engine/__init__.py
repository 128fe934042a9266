"""Scheduling, sampling, prefix reuse and the loop guard, over any backend.

Plain Python without HTTP, asyncio or threads. One thread drives it.
"""
