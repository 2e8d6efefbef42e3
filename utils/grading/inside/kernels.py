"""One IPython kernel in namespaces of its own, forked from the pre-warmed process."""

import os
import sys

from . import namespaces

DIED_AT_START = 97  # exit status of a kernel that never got as far as the learner's code
PRINTED = 1_000_000  # characters of output a cell may send; what comes after is dropped


def hold(command: dict) -> int:
    """Holds the namespaces of a kernel: forks it, waits for it, and returns its exit status."""
    os.setsid()
    isolate = command["isolate"]
    if isolate:
        namespaces.become(command["user"])
        namespaces.new_namespaces()
    namespaces.die_with_parent()
    process = os.fork()
    if process == 0:
        try:
            namespaces.die_with_parent()
            start(command, isolate)
        except BaseException as error:
            os.write(2, f"kernel {command['spawn']}: {type(error).__name__}: {error}\n".encode())
        os._exit(DIED_AT_START)
    for handle in range(3):
        os.close(handle)
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else min(code, 127)


def start(command: dict, isolate: bool) -> None:
    """Binds the sockets, then shuts every door behind it, then serves."""
    os.setsid()
    in_use = namespaces.memory_in_use() if os.path.exists("/proc/self/statm") else 0
    folder = f"/run/kernels/{command['spawn']}" if isolate else command["folder"]
    if isolate:
        namespaces.empty_places(command["limits"]["space"])
    home = "/home/learner" if isolate else f"{folder}/home"
    os.makedirs(home, exist_ok=True)
    os.environ.update(HOME=home, IPYTHONDIR=f"{home}/.ipython", TMPDIR="/tmp" if isolate else home)
    os.chdir(home)
    _silence(0, 1)
    app = _application(folder, command["key"])
    if not isolate:
        namespaces.limit_alone(command["limits"], in_use)
    else:
        namespaces.own_keyring()
        namespaces.limit(command["limits"], in_use)
        namespaces.hide("/run")
        namespaces.give_up_rights()
        namespaces.die_with_parent()
    del command
    _silence(2)
    app.start()
    os._exit(0)


def _silence(*handles: int) -> None:
    """Nothing is read from the terminal or written to it."""
    nothing = os.open("/dev/null", os.O_RDWR)
    for handle in handles:
        os.dup2(nothing, handle)
    os.close(nothing)


def _application(folder: str, key: str):
    """The kernel's application, with sockets bound as files of a folder."""
    from ipykernel.kernelapp import IPKernelApp
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.IPCompleter.use_jedi = False
    config.InteractiveShell.colors = "nocolor"
    config.Session.key = key.encode()
    config.Session.check_pid = False
    app = IPKernelApp.instance(config=config)
    app.transport, app.ip = "ipc", f"{folder}/s"
    app.shell_port, app.iopub_port, app.stdin_port, app.control_port, app.hb_port = 1, 2, 3, 4, 5
    app.connection_file = "/tmp/connection.json" if folder.startswith("/run") else f"{folder}/connection.json"
    app.log_level = 50
    app.quiet, app.capture_fd_output = True, False
    app.initialize([])
    os.unlink(app.abs_connection_file)
    _bound_output(app)
    _introduce(app)
    return app


def _bound_output(app) -> None:
    """Drops what a cell prints beyond a limit: a courtesy to whoever prints in a loop; the grader bounds it again."""
    from ipykernel.iostream import OutStream

    written = {"count": 0}
    plain = OutStream.write

    def write(self, text):
        if isinstance(text, str):
            left = PRINTED - written["count"]
            written["count"] += len(text)
            if left <= 0:
                return len(text)
            plain(self, text[:left])
            return len(text)
        return plain(self, text)

    OutStream.write = write
    app.shell.events.register("pre_execute", lambda: written.update(count=0))


def _introduce(app) -> None:
    """What a notebook of this course finds: nobody who answers questions, and no shell."""
    shell = app.shell
    shell.transform_cell = str  # what is IPython's own was taken out before, and looking for it takes long lines long
    shell.run_line_magic = shell.run_cell_magic = _no_magic
    shell.system = shell.system_raw = shell.system_piped = shell.getoutput = _no_magic
    app.kernel.raw_input = app.kernel.getpass = _no_answer
    sys.argv = ["kernel"]


def _no_answer(*_arguments, **_keywords):
    """input() in a notebook that is graded."""
    raise EOFError("input() has nobody to ask while the notebook is graded.")


def _no_magic(*_arguments, **_keywords) -> None:
    """Magics and shell lines do nothing while a notebook is graded."""
