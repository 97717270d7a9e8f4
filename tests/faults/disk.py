"""A disk that loses power: what a traced program did to its files, and what of it may be there afterwards.

Only what was synced survives for sure. Of a file's unsynced changes any part may: its size may be that
after any of them, and each block of 4096 bytes may be as it was before or after any of them, or zeros where
it was never written. A folder's unsynced changes survive up to any of them, in their order. Syncing a file
says nothing of its name; that is in its folder.
"""
import os
import pathlib
import re

BLOCK = 4096
CALLS = "openat,close,lseek,pwrite64,pwritev,write,writev,ftruncate,fdatasync,fsync,rename,mkdir,symlink,unlink"
CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)(<.*>)?")
HEX = re.compile(r"\\x([0-9a-f]{2})")
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
DESCRIPTOR = re.compile(r"^(\d+)<([^>]*)>")


def unescape(text):
    return bytes.fromhex(text.replace("\\x", ""))


class File:
    """`versions` are its contents since it was last synced, the synced one first."""

    def __init__(self):
        self.versions = [b""]

    def change(self, content):
        self.versions.append(content)

    def write(self, offset, data, durable):
        if durable:  # O_DSYNC: this write, and none before it
            self.versions = [patched(version, offset, data) for version in self.versions]
        else:
            self.change(patched(self.versions[-1], offset, data))

    def truncate(self, size):
        self.change(self.versions[-1][:size].ljust(size, b"\0"))

    def sync(self):
        self.versions = self.versions[-1:]


class Folder:
    """`versions` are its entries since it was last synced: name -> File, Folder, or a link's target."""

    def __init__(self):
        self.versions = [{}]

    def change(self, **entries):
        changed = self.versions[-1] | entries
        self.versions.append({name: entry for name, entry in changed.items() if entry is not None})

    def sync(self):
        self.versions = self.versions[-1:]


def patched(content, offset, data):
    return content[:offset].ljust(offset, b"\0") + data + content[offset + len(data):]


class Disk:
    """What is done to `home`, one operation at a time."""

    def __init__(self, home):
        self.home, self.root = home, Folder()

    def parts(self, path):
        """(the folder that holds it, its name); None if it isn't below home."""
        path = os.path.normpath(os.path.join(self.home, path))
        if not path.startswith(str(self.home) + "/"):
            return None, None
        folder = self.root
        *folders, name = pathlib.Path(path).relative_to(self.home).parts
        for part in folders:
            folder = folder.versions[-1][part]
            if isinstance(folder, str):
                folder = self.root.versions[-1]["view"].versions[-1][folder]  # the one link that there is: current
        return folder, name

    def find(self, path):
        if os.path.normpath(os.path.join(self.home, path)) == str(self.home):
            return self.root
        folder, name = self.parts(path)
        return folder and folder.versions[-1].get(name)

    def create(self, path, entry):
        folder, name = self.parts(path)
        if folder and name not in folder.versions[-1]:
            folder.change(**{name: entry})

    def remove(self, path):
        folder, name = self.parts(path)
        folder.change(**{name: None})

    def rename(self, old, new):
        entry = self.find(old)
        (folder, name), (other, other_name) = self.parts(old), self.parts(new)
        if folder is other:
            folder.change(**{name: None, other_name: entry})
        else:  # never seen half done: both are changed
            other.change(**{other_name: entry})
            folder.change(**{name: None})


class Trace:
    """A program's calls, as operations on a disk: each a function that does one to it."""

    def __init__(self, text, home):
        self.home, self.descriptors = home, {}  # fd -> [position, O_DSYNC]
        self.operations = []  # (what, function)
        for line in text.splitlines():
            call = CALL.match(line)
            if call and int(call[3]) >= 0:
                getattr(self, "do_" + call[1])(call[2], int(call[3]), call[4])

    def add(self, what, function):
        self.operations.append((what, function))

    def target(self, arguments):
        number, path = DESCRIPTOR.match(arguments).groups()
        return int(number), HEX.sub(lambda code: chr(int(code[1], 16)), path)

    def inside(self, path):
        return path == str(self.home) or path.startswith(str(self.home) + "/")

    def do_openat(self, arguments, result, _):
        path = os.path.join(self.home, unescape(STRING.search(arguments)[1]).decode())
        self.descriptors[result] = [0, "O_DSYNC" in arguments or "O_SYNC" in arguments]
        if self.inside(path) and "O_CREAT" in arguments:
            self.add(f"make {path}", lambda disk: disk.create(path, File()))

    def do_close(self, arguments, *_):
        self.descriptors.pop(self.target(arguments)[0], None)

    def do_lseek(self, arguments, result, _):
        self.descriptors.setdefault(self.target(arguments)[0], [0, False])[0] = result

    def put(self, arguments, count, at=None):
        number, path = self.target(arguments)
        data = b"".join(unescape(text) for text in STRING.findall(arguments))[:count]
        descriptor = self.descriptors.setdefault(number, [0, False])
        offset = descriptor[0] if at is None else at
        if at is None:
            descriptor[0] += count
        if number == 1:
            self.add("say", lambda disk: disk.said.append(data))
        elif self.inside(path):
            self.add(f"write {path} at {offset}, {count} bytes",
                     lambda disk: disk.find(path).write(offset, data, descriptor[1]))

    def do_write(self, arguments, count, _):
        self.put(arguments, count)

    do_writev = do_write

    def do_pwrite64(self, arguments, count, _):
        self.put(arguments, count, int(arguments.rsplit(", ", 1)[1]))

    do_pwritev = do_pwrite64

    def do_ftruncate(self, arguments, *_):
        path, size = self.target(arguments)[1], int(arguments.rsplit(", ", 1)[1])
        if self.inside(path):
            self.add(f"truncate {path} to {size}", lambda disk: disk.find(path).truncate(size))

    def do_fsync(self, arguments, *_):
        path = self.target(arguments)[1]
        if self.inside(path):
            self.add(f"sync {path}", lambda disk: disk.find(path).sync())

    do_fdatasync = do_fsync

    def names(self, arguments):
        return [unescape(text).decode() for text in STRING.findall(arguments)]

    def do_rename(self, arguments, *_):
        old, new = self.names(arguments)
        self.add(f"rename {old} to {new}", lambda disk: disk.rename(old, new))

    def do_mkdir(self, arguments, *_):
        path = self.names(arguments)[0]
        self.add(f"make folder {path}", lambda disk: disk.create(path, Folder()))

    def do_symlink(self, arguments, *_):
        target, path = self.names(arguments)
        self.add(f"link {path}", lambda disk: disk.create(path, target))

    def do_unlink(self, arguments, *_):
        path = self.names(arguments)[0]
        self.add(f"remove {path}", lambda disk: disk.remove(path))


# --- what may be there afterwards: each takes a list of versions, the synced one first ---

def kept(versions, _):
    return versions[-1]


def dropped(versions, _):
    return versions[0]


def zeros(versions, _):
    """The size got there, the data didn't."""
    return versions[0][:len(versions[-1])].ljust(len(versions[-1]), b"\0")


def torn(versions, rng):
    """The last change got there in part: up to one of its blocks."""
    last, before = versions[-1], versions[-2] if len(versions) > 1 else versions[-1]
    cut = rng.randrange(0, len(last) + BLOCK, BLOCK)
    return last[:cut] + before[cut:len(last)]


def mixed(versions, rng):
    """Any size, and each block from any time."""
    content = b""
    size = len(rng.choice(versions))
    for at in range(0, size, BLOCK):
        content += rng.choice(versions)[at:at + BLOCK].ljust(BLOCK, b"\0")
    return content[:size]


def any_of(versions, rng):
    return rng.choice([kept, dropped, zeros, torn, mixed])(versions, rng)


def any_version(versions, rng):
    return rng.choice(versions)


# name -> (of files, of folders)
VARIANTS = {"all kept": (kept, kept), "unsynced data dropped": (dropped, kept),
            "zeros instead of unsynced data": (zeros, kept), "unsynced names and data dropped": (dropped, dropped),
            "unsynced names dropped": (kept, dropped), "the last write torn": (torn, kept),
            "any blocks of unsynced data": (mixed, kept), "anything": (any_of, any_version)}
RANDOM = {"the last write torn", "any blocks of unsynced data", "anything"}


def surviving(folder, of_files, of_folders, rng, below=""):
    """path -> bytes, a link's target, or None for a folder."""
    tree = {}
    for name, entry in sorted(of_folders(folder.versions, rng).items()):
        path = below + name
        if isinstance(entry, Folder):
            tree[path] = None
            tree |= surviving(entry, of_files, of_folders, rng, path + "/")
        else:
            tree[path] = entry if isinstance(entry, str) else of_files(entry.versions, rng)
    return tree


def restore(tree, home):
    home.mkdir()
    for path, content in sorted(tree.items()):
        if content is None:
            (home / path).mkdir()
        elif isinstance(content, str):
            (home / path).symlink_to(content)
        else:
            (home / path).write_bytes(content)
