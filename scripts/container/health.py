"""The container's health check: asks /health, and says what is wrong. Standard library only."""

import json
import os
import ssl
import sys
import urllib.request

with_tls = bool(os.environ.get("TLS_CERT_FILE"))
address = f"{'https' if with_tls else 'http'}://127.0.0.1:{os.environ.get('PORT') or 8000}/health"
# The certificate is for the names that browsers use, and nobody is between this and the server.
context = ssl._create_unverified_context() if with_tls else None  # noqa: S323
try:
    with urllib.request.urlopen(address, timeout=8, context=context) as answer:  # noqa: S310
        health = json.load(answer)
except (OSError, ValueError) as error:
    sys.exit(f"no answer: {error}")
if health["status"] != "ok":
    sys.exit("; ".join(f"{name}: {check['message']}" for name, check in health["checks"].items() if not check["ok"]))
print("ok")
