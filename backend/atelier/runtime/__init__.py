"""Owns processes and devices; knows no routes and no tables.

pool.py         lease(spec), running(), stop_worker(): the deeds
placement.py    who gets which memory, in which order: pure decisions
worker.py       one process: start, load, ready, busy, stop; single writer of its state
forkserver.py   one per environment: holds the imported libraries, forks workers
client.py       the conversation with one worker over its Unix socket
environments.py builds the environments that engines run in
engines.py      total map engine -> environment, module, deadlines
exits.py        why a process ended, in words, and what to do next
processes.py    what /proc says about processes of ours
reaper.py       ends what an earlier server left behind
gpu.py          devices and their figures: GPUMonitor
devices.py      what a device and one look at it are
nvml.py         NVIDIA's library: GPUs, MIG slices, drivers that go away
history.py      the figures of the last quarter of an hour
contents.py     what lies in an environment, read from its files
asking.py       one question to an environment's Python
"""
