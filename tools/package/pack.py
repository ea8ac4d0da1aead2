"""Packs files so that the same files give the same bytes, whenever and by whomever they are packed.

    pack.py TARGET.zip|TARGET.tar.gz SECONDS NAME=FILE[:x] ...

SECONDS since 1970 is the time that every entry gets. NAME is the entry's; `:x` makes it a program.
"""

import gzip
import io
import sys
import tarfile
import time
import zipfile
from pathlib import Path


def files(arguments):
    for argument in sorted(arguments):
        name, _, path = argument.partition("=")
        runs = path.endswith(":x")
        yield name, Path(path.removesuffix(":x")).read_bytes(), 0o755 if runs else 0o644


def zipped(entries, seconds):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content, mode in entries:
            entry = zipfile.ZipInfo(name, time.gmtime(seconds)[:6])
            # Unix, a plain file.
            entry.create_system, entry.external_attr = 3, (0o100000 | mode) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return made.getvalue()


def tarred(entries, seconds):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content, mode in entries:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, seconds
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(made.getvalue(), 9, mtime=0)


def main(target, seconds, *arguments):
    pack = zipped if target.endswith(".zip") else tarred
    Path(target).write_bytes(pack(files(arguments), int(seconds)))


if __name__ == "__main__":
    if len(sys.argv) < 4 or not sys.argv[1].endswith((".zip", ".tar.gz")):
        sys.exit(__doc__)
    main(*sys.argv[1:])
