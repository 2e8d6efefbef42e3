"""Linux namespaces, mounts and limits for one kernel, by system calls: Python 3.11 has no names for them."""

import contextlib
import ctypes
import os
import resource
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
ALL_NEW = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
SIGKILL = 9
CAPABILITY_VERSION_3 = 0x20080522
KEYCTL = {"x86_64": 250, "aarch64": 219}  # the system call's number
KEYCTL_JOIN_SESSION_KEYRING = 1
LEARNER = 1000  # the user that the learner's code takes itself for

_libc = ctypes.CDLL(None, use_errno=True)


def _called(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(kind: str, target: str, flags: int, options: str = "", source: str = "none") -> None:
    """mount(2)."""
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode())
    _called(result, f"mount {kind} on {target}")


def become(user: int | None) -> None:
    """Takes on another user of the machine for good; None: stays who it is."""
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self/uid_map belongs to root


def new_namespaces() -> None:
    """Leaves all that is shared: users, mounts, processes (for children), network, IPC, host name."""
    user, group = os.geteuid(), os.getegid()
    _called(_libc.unshare(ALL_NEW), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{LEARNER} {user} 1"),
        ("gid_map", f"{LEARNER} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    with contextlib.suppress(OSError), open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")  # no further ones inside


def empty_places(megabytes: int) -> None:
    """Private, empty, bounded places to write to; nothing to read of processes."""
    _called(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "make mounts private")
    bounded = f"size={megabytes}m,nr_inodes=4096,mode=1777"
    for place in ("/tmp", "/home/learner", "/dev/shm"):
        mount("tmpfs", place, MS_NOSUID | MS_NODEV, bounded)
    mount("tmpfs", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "size=4k,mode=555")


def hide(place: str) -> None:
    """Puts an empty, read-only folder over a place."""
    mount("tmpfs", place, MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "size=4k,mode=555")


def give_up_rights() -> None:
    """No capability is left, none can be gained, and when the parent dies so does this process."""

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    none = (ctypes.c_uint32 * 6)()
    _called(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _called(_libc.capset(ctypes.byref(Header(CAPABILITY_VERSION_3, 0)), none), "capset")


def die_with_parent() -> None:
    """The kernel sends SIGKILL when the parent ends; only Linux has that."""
    if not sys.platform.startswith("linux"):
        return
    _called(_libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "die with parent")


def own_keyring() -> None:
    """A keyring of its own: that of the session would show the instructor's keys, and link one kernel to the next."""
    if (number := KEYCTL.get(os.uname().machine)) is not None:
        _libc.syscall(number, KEYCTL_JOIN_SESSION_KEYRING, None, 0, 0, 0)


def memory_in_use() -> int:
    """Bytes of address space that this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def limit(limits: dict[str, int], in_use: int) -> None:
    """Hard limits of this process and its children: memory (bytes beyond what it has), cpu (s), files, file, tasks."""
    hard = {
        resource.RLIMIT_AS: in_use + limits["memory"],
        resource.RLIMIT_CPU: limits["cpu"],
        resource.RLIMIT_FSIZE: limits["file"],
        resource.RLIMIT_NOFILE: limits["files"],
        resource.RLIMIT_NPROC: limits["tasks"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for what, value in hard.items():
        resource.setrlimit(what, (value, value))


def limit_alone(limits: dict[str, int], in_use: int) -> None:
    """What can be limited outside of a sandbox, where processes are counted for the whole user."""
    for what, value in ((resource.RLIMIT_AS, in_use + limits["memory"]), (resource.RLIMIT_FSIZE, limits["file"])):
        if in_use:
            resource.setrlimit(what, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu"], limits["cpu"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
