"""What the programs read: a document made here, and texts that the system has."""

import json
import pathlib
import random

DOCUMENT_BYTES = {"standard": 20_000_000, "tiny": 100_000}
TEXT_BYTES = {"standard": 16_000_000, "tiny": 200_000}


def make(folder, size):
    """{option: path}; made once."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for option, write, wanted in (("document", _document, DOCUMENT_BYTES[size]),
                                  ("text", _text, TEXT_BYTES[size])):
        paths[option] = folder / f"{option}-{size}"
        if not paths[option].exists():
            paths[option].write_bytes(write(wanted))
    return paths


def _document(wanted):
    seeded = random.Random(20)
    words = [f"w{seeded.getrandbits(28):x}" for _ in range(5000)]
    records, size = [], 0
    while size < wanted:
        records.append({
            "id": len(records), "name": " ".join(seeded.choices(words, k=3)),
            "score": round(seeded.random() * 1000, 3), "active": seeded.random() < 0.5,
            "none": None, "tags": seeded.choices(words, k=seeded.randrange(6)),
            "place": {"x": seeded.randrange(10_000), "y": round(seeded.random(), 4),
                      "street": seeded.choice(words)},
            "history": [{"at": seeded.randrange(10**6), "what": seeded.choice(words)}
                        for _ in range(seeded.randrange(4))]})
        size += len(json.dumps(records[-1])) + 2
    return json.dumps({"records": records}).encode()


def _text(wanted):
    """Licences and copyright notices: every Debian has the texts of its packages."""
    found, size = [], 0
    for path in sorted(pathlib.Path("/usr/share/doc").glob("*/copyright")):
        if size >= wanted:
            break
        found.append(path.read_bytes())
        size += len(found[-1])
    return b"".join(found)[:wanted]
