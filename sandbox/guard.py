"""Kills all processes of a sandbox when its owner ends.

Standard input is a pipe from the owner. It closes when the owner stops the sandbox, and when the owner ends by any
cause, including SIGKILL. Arguments: the marker, and the directory to remove (or "-").
Lines on standard input: "group N" (a process group to kill on systems without /proc), "keep" (keep the directory).
"""
import os
import shutil
import signal
import sys
import time

VARIABLE = b"BACKUP_COMPLIANCE_SANDBOX="


def marked(marker):
    """Returns the processes with the marker in their environment."""
    entry = VARIABLE + marker.encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as environ:
                if entry in environ.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            pass  # ended, or owned by another user
    return found


def end(call, target):
    try:
        call(target, signal.SIGKILL)
        return True
    except OSError:
        return False


def main():
    marker, directory = sys.argv[1], sys.argv[2]
    # In a session of its own, the guard does not receive the signals of the owner's terminal.
    try:
        os.setsid()
    except OSError:
        pass
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    print("ready", flush=True)
    sys.stdout.close()
    groups, keep = set(), False
    for line in sys.stdin:
        words = line.split()
        if len(words) == 2 and words[0] == "group":
            groups.add(int(words[1]))
        elif words == ["keep"]:
            keep = True
    if os.path.isdir("/proc/self"):
        empty = 0
        # Two empty lists: a process may have been between fork and exec during the first.
        while empty < 2:
            found = marked(marker)
            for pid in found:
                end(os.kill, pid)
            empty = 0 if found else empty + 1
            time.sleep(0.02)
    else:
        for _ in range(50):
            if not [group for group in groups if end(os.killpg, group)]:
                break
            time.sleep(0.02)
    if directory != "-" and not keep:
        for _ in range(20):
            shutil.rmtree(directory, ignore_errors=True)
            if not os.path.exists(directory):
                break
            time.sleep(0.05)


main()
