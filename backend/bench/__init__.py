"""What Atelier promises about speed and size, measured side by side with something else. One command per promise,
run from `backend/` with the server's environment:

    python -m bench.queue           jobs: enqueue, claim, finish, and the time from asking to starting; beside huey
    python -m bench.live_events     events to browsers; beside bare `websockets.broadcast`
    python -m bench.generation      pictures through Atelier; beside a bare diffusers loop
    python -m bench.batching        pictures of eight clients at once; beside a bare loop, and eight in a call
    python -m bench.image_engine    a repeated prompt, and what encoding costs the thread that makes pictures
    python -m bench.worker_start    a forked worker; beside a plain start of the same one
    python -m bench.lora_switch     another LoRA; beside loading the model
    python -m bench.memory          the server at rest, its start, a worker's own memory
    python -m bench.scale           lists with 10,000 rows; beside lists with 100
    python -m bench.live_figures    what the live figures of the system page cost the server
    python -m bench.gateway         /v1 in front of an engine; beside LiteLLM's proxy and SGLang's router
    python -m bench.download        models from a hub; beside an httpx stream and curl; what a kill costs

Each prints a table, writes `bench/results/<name>.json` and exits with 1 when an answer was wrong or a goal is missed
(`--no-goals`: only for wrong answers). `--rounds N` changes how often it looks.

Rules. Both sides are measured in the same run, in short rounds that take turns in random order. What is compared is the
CPU time that all processes of a side used per unit of work, or a wall time where waiting is the thing in question; of
at least five rounds the minimum is taken for CPU (other programs can only add to it) and the median for waiting. Work
is counted where it arrives, and one wrong answer fails the run. Figures of a busy machine are no good as absolute
figures; the ratios are what is claimed, and the load average stands beside them.

    measuring.py    rounds, CPU and memory of process trees, tables and result files
    image_side.py   the image environment, tiny models, a server beside a bare diffusers loop
    serving.py      a real server process with its own data folder
"""
