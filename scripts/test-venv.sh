#!/usr/bin/env bash
# The Python packages of the tests, in target/test-venv.
set -euo pipefail

# nemreader 0.6 is the last one that needs nothing else.
exec "$(dirname "$0")/venv.sh" target/test-venv aiosmtpd==1.4.6 asyncssh==2.24.1 csvw==4.1.1 duckdb==1.5.5 \
    greenbutton-objects==2024.7.11 nanio==0.1.7 nemreader==0.6 prometheus-client==0.23.1 'pyftpdlib[ssl]==2.2.0' \
    starlette==1.10.0 uvicorn==0.54.0
