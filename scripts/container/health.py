"""The container's health check: asks /health, and says what is wrong. Standard library only."""

import json
import os
import sys
import urllib.request

try:
    with urllib.request.urlopen(f"http://127.0.0.1:{os.environ.get('PORT') or 8000}/health", timeout=8) as answer:  # noqa: S310
        health = json.load(answer)
except (OSError, ValueError) as error:
    sys.exit(f"no answer: {error}")
if health["status"] != "ok":
    sys.exit("; ".join(f"{name}: {check['message']}" for name, check in health["checks"].items() if not check["ok"]))
print("ok")
