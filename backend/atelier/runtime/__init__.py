"""Owns processes and devices; knows no routes and no tables.

pool.py         lease(spec), running(), stop_worker(): the deeds
line.py         who waits, and what they are told
ledger.py       which worker holds how much of which device
decisions.py    what is done for everybody who waits: pure
placement.py    who gets which memory: a pure plan for one request
parking.py      putting weights aside, bringing them back
waiting.py      what someone waits for: words, place in the line, forecast
spec.py         which worker is wanted, and how pages see it
worker.py       one process: start, load, ready, busy, parked, stop; single writer of its state
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
