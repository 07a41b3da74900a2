"""Makes corpora of the recorded conversations: `python3 fuzz/seeds.py fuzz/corpus`, then
`cargo +nightly fuzz run decode` starts from what genuine clients and servers said.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

RECORDED = Path(__file__).resolve().parent.parent / "interop-tests/fixtures/control"


def main(corpus):
    for file in sorted(RECORDED.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            case = json.loads(line)
            for side in ("request_b64", "reply_b64"):
                if case.get(side):
                    message = base64.b64decode(case[side])[4:]
                    for target in ("scan", "decode"):
                        keep(corpus / target, message)
            arguments = (case.get("decoded_request") or {}).get("args") or {}
            for text in arguments.values():
                if isinstance(text, str) and text.startswith("{"):
                    keep(corpus / "conf", text.encode())


def keep(directory, seed):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


main(Path(sys.argv[1]))
