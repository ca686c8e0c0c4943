"""Audits what this process does to files, before it does it (PEP 578)."""

import os
import sys
from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# By event, the positions of changed paths among its arguments, each with the position of the open
# folder that the path may be relative to.
_CHANGES = {
    "os.chmod": ((0, 2),),
    "os.link": ((1, 3),),
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
}
_COMMANDS = {"os.exec", "os.fork", "os.posix_spawn", "os.system", "socket.connect"}
_COMMANDS |= {"pickle.find_class", "subprocess.Popen"}


def watch(on_change, on_command=None):
    """Calls back before files change and before commands run, for as long as the process lives.

    Args:
        on_change: Called with the real path of each file or folder that is about to change.
        on_command: Called with the name of an event that reaches outside Python: a command, a
            connection, an object of a pickle.
    """

    def hook(event, arguments):
        if event == "open":
            path, _, flags = arguments
            if flags & _WRITING and not isinstance(path, int):
                on_change(_place(path))
        elif event in _CHANGES:
            for path, folder in _CHANGES[event]:
                if not isinstance(arguments[path], int):
                    on_change(_place(arguments[path], -1 if folder is None else arguments[folder]))
        elif event in _COMMANDS and on_command is not None:
            on_command(event)

    sys.addaudithook(hook)


def _place(path, folder=-1):
    """Resolves links in the folders of a path, but not in its last part."""
    folder = Path.cwd() if folder < 0 else Path(f"/proc/self/fd/{folder}").readlink()
    place = Path(os.path.normpath(folder / os.fsdecode(path)))
    return Path(os.path.realpath(place.parent), place.name)
