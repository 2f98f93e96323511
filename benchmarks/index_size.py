"""How large the index of words is: `python -m benchmarks.index_size FILE…`.

Reads text files, such as the chapters of a book, takes their paragraphs as messages of about 150, 600 and 2,500
characters, and prints the size of the index compared with the JSON text of the messages. `--prose` leaves out blocks of
code in Markdown.
"""

from __future__ import annotations

import argparse
import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from hermes_store import Store

_LENGTHS: Final = (150, 600, 2_500)


def messages(text: str, length: int) -> Iterator[str]:
    """Yield paragraphs, as many together as are about so many characters."""
    found = ""
    for paragraph in text.split("\n\n"):
        if found and len(found) + len(paragraph) > length:
            yield found
            found = ""
        found += f"{paragraph}\n\n"
    if found.strip():
        yield found


def sizes(contents: Sequence[str]) -> tuple[int, int]:
    """Return the bytes of the JSON of messages, and of their index."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.db"
        with Store.open(path, durability="normal") as store:
            store.sessions.create(session_id="s")
            for first in range(0, len(contents), 200):
                some = contents[first : first + 200]
                store.messages.extend("s", [{"role": "user", "content": one} for one in some])
        with closing(sqlite3.connect(path)) as connection:
            [[text]] = connection.execute("SELECT sum(length(payload)) FROM message_blobs").fetchall()
            [[index]] = connection.execute("SELECT sum(length(block)) FROM message_search_data").fetchall()
    return text, index


def main(arguments: Sequence[str]) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index_size", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--prose", action="store_true", help="leave out blocks of code in Markdown")
    options = parser.parse_args(arguments)
    text = "\n\n".join(file.read_text(encoding="utf-8", errors="replace") for file in options.files)
    if options.prose:
        text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for length in _LENGTHS:
        contents = list(messages(text, length))
        size, index = sizes(contents)
        mean = sum(map(len, contents)) / len(contents)
        print(f"{len(contents):,} messages of {mean:,.0f} characters: {size / 1e6:.2f} MB, index {index / size:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
