"""The sandbox of a unit file, as far as a test can put it on: system calls (libseccomp), memory that is never
both writable and executable, no new privileges, a file system that can only be read."""

import ctypes, ctypes.util, errno, os, socket, subprocess

KILL_PROCESS = 0x80000000
ALLOW = 0x7FFF0000
ERRNO = 0x00050000
EQUAL = 4
PR_SET_MDWE, PR_SET_NO_NEW_PRIVS = 65, 38
MS_BIND, MS_REMOUNT, MS_RDONLY, MS_REC, MS_PRIVATE = 4096, 32, 1, 16384, 1 << 18
CLONE_NEWNS = 0x20000
NOBODY = 65534


class Compare(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def settings(unit):
    """{key: [values in order]} of a unit file."""
    out = {}
    for line in open(unit):
        key, equals, value = line.strip().partition("=")
        if equals and not line.startswith("#"):
            out.setdefault(key, []).append(value)
    return out


def expand(names):
    """Sets of systemd's, down to system calls."""
    calls, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if not name.startswith("@"):
            calls.add(name)
            continue
        lines = subprocess.check_output(["systemd-analyze", "syscall-filter", name], text=True).splitlines()
        todo += [x.strip() for x in lines[1:] if x.strip() and not x.strip().startswith("#")]
    return calls


def allowed_calls(unit):
    """What a SystemCallFilter of the unit leaves; systemd itself always adds @default and execve."""
    calls = expand(["@default"]) | {"execve"}
    for line in settings(unit)["SystemCallFilter"]:
        if line.startswith("~"):
            calls -= expand(line[1:].split()) - expand(["@default"])
        else:
            calls |= expand(line.split())
    return calls


def library():
    name = ctypes.util.find_library("seccomp")
    return ctypes.CDLL(name) if name else None


class Sandbox:
    """Built before the fork, put on between fork and exec."""

    def __init__(self, unit, no_exec_memory, writable=None):
        self.no_exec_memory, self.writable = no_exec_memory, writable
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.seccomp = library()
        self.seccomp.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.seccomp.seccomp_init(KILL_PROCESS))
        assert self.context
        for call in sorted(allowed_calls(unit) - {"socket"}):
            number = self.seccomp.seccomp_syscall_resolve_name(call.encode())
            if number >= 0:
                assert self.seccomp.seccomp_rule_add(self.context, ALLOW, number, 0) == 0, call
        self.restrict_families(settings(unit)["RestrictAddressFamilies"][0].split())

    def restrict_families(self, names):
        """Sockets of other kinds are refused, as systemd does it."""
        families = {getattr(socket, name) for name in names}
        number = self.seccomp.seccomp_syscall_resolve_name(b"socket")
        for family in range(46):
            compare = Compare(0, EQUAL, family, 0)
            action = ALLOW if family in families else ERRNO | errno.EAFNOSUPPORT
            rc = self.seccomp.seccomp_rule_add_array(self.context, action, number, 1, ctypes.byref(compare))
            assert rc == 0, (family, rc)

    def read_only(self):
        """Everything but one folder; False where this machine allows no name spaces."""
        mount = self.libc.mount
        if self.libc.unshare(CLONE_NEWNS) != 0:
            return False
        place = self.writable.encode()
        return (
            mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0
            and mount(place, place, None, MS_BIND, None) == 0
            and mount(None, b"/", None, MS_BIND | MS_REMOUNT | MS_RDONLY, None) == 0
        )

    def __call__(self):
        if self.writable and not self.read_only():
            os._exit(77)
        if os.geteuid() == 0:  # the unit's user is none of the machine's
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        self.libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if self.no_exec_memory:
            self.libc.prctl(PR_SET_MDWE, 1, 0, 0, 0)
        if self.seccomp.seccomp_load(self.context) != 0:
            os._exit(78)
