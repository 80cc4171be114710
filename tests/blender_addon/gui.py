"""A Blender with a window, on a screen of its own: asked by code, moved by a real mouse."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import numpy
import zmq

import build_addon

PROGRAMS = ("blender", "Xvfb", "xdotool", "import")
SIZE = (1000, 1000)
PATIENCE_S = 240.0  # all is drawn in software, perhaps beside other work
COPY_COMMAND, COPY_PATH = "ctrl+c", "ctrl+alt+shift+c"  # of the button below the mouse: what it does, what it shows
PAGE = 30  # notches of the wheel, less than the sidebar's height
TAB = (-13, 165)  # of the fourth tab in the sidebar, from its top right corner


def missing():
    """What this computer lacks for a window; empty if nothing."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


class Gui:
    """`ask` evaluates code inside, `click` and `key` come from outside, as a user's would."""

    def __init__(self, folder, display, blender):
        self.folder, self.display, self.blender = folder, display, blender
        self.found = 0  # height of the newest button

    def ask(self, code, timeout=PATIENCE_S):
        """The value of an expression, or None after statements; what it raises inside is raised here."""
        partial = self.folder / "question.partial"
        partial.write_text(code)
        partial.replace(self.folder / "question.py")
        answer = self.folder / "answer.json"
        self._wait(answer.exists, timeout, code)
        told = json.loads(answer.read_text())
        answer.unlink()
        if "error" in told:
            raise AssertionError(told["error"])
        return told["value"]

    def until(self, code, timeout=PATIENCE_S):
        """Wait until the expression holds inside."""
        self._wait(lambda: self.ask(code), timeout, code)

    def click(self, x, y):
        """Press the left button at a place of the screen. Blender needs the mouse to hover there first."""
        self._xdotool("mousemove", str(int(x)), str(int(y)), "sleep", "0.4", "click", "1", "sleep", "0.4")

    def hover(self, x, y):
        """Move the mouse to a place of the screen: keys go to what lies below it."""
        self._xdotool("mousemove", str(int(x)), str(int(y)), "sleep", "0.4")

    def type(self, words):
        """Write words where the mouse is."""
        self._xdotool("type", "--delay", "40", words)
        time.sleep(0.6)

    def scroll(self, x, y, notches):
        """Turn the wheel there, down for positive notches."""
        button = "5" if notches > 0 else "4"
        self._xdotool(
            "mousemove", str(int(x)), str(int(y)), "click", "--repeat", str(abs(notches)), button, "sleep", "0.4"
        )

    def key(self, name):
        """Press a key where the mouse is."""
        self._xdotool("key", name, "sleep", "0.4")

    def find(self, what, across=0.3, copy=COPY_COMMAND):
        """Where the mouse is over the button of this operator in the sidebar, which is scrolled if need be.

        With COPY_PATH, of the field of a property. Blender itself tells what lies below the mouse.
        """
        left, top, width, height = self.ask("sidebar()")
        x = left + across * width
        for notches in [0, PAGE, PAGE, -9 * PAGE, *[PAGE] * 5]:  # what comes next is mostly below
            if notches:
                self.scroll(left + 4, top + height / 2, notches)
            for y in sorted(range(top + 60, top + height - 20, 12), key=lambda y: abs(y - self.found)):
                # Asked twice: answers of the backend make panels longer, and what is below moves.
                if what in self.copied(x, y, copy) and what in self.copied(x, y, copy, wait=0.5):
                    self.found = y  # the next one is seldom far away
                    return x, y
        raise AssertionError(f"There is no button for {what}: {self.log()[-2000:]}")

    def to_top(self):
        """Scroll the sidebar to its beginning."""
        left, top, _, height = self.ask("sidebar()")
        self.scroll(left + 4, top + height / 2, -9 * PAGE)
        self.found = 0

    def copied(self, x, y, copy=COPY_COMMAND, wait=0.1):
        """What Blender puts on the clipboard for the button below the mouse; empty if there is none."""
        self._xdotool("mousemove", str(int(x)), str(int(y)), "sleep", str(wait), "key", copy, "sleep", "0.1")
        return self.ask("clipboard()")

    def press(self, operator, across=0.3):
        """Click on the button of an operator, e.g. `vivant.talk`, wherever it is in the sidebar."""
        self.click(*self.find(f"bpy.ops.{operator}(", across))

    def choose(self, path):
        """Write folder and name into the file browser that is open, then click on its button."""
        self.until("'UI' in browser()")
        for field, words in (("UI", path.parent), ("EXECUTE", path.name)):
            left, top, width, height = self.ask(f"browser()[{field!r}]")
            self.click(left + 0.35 * width, top + height / 2)
            self.key("ctrl+a")
            self.type(str(words))
            self.key("Return")
        accept = left + 0.9 * width, top + height / 2
        self._wait(lambda: "file.execute" in self.copied(*accept), PATIENCE_S, "the browser's button")
        self.click(*accept)
        self.until("not browser()")

    def write(self, field, words):
        """Write a value into the field of a property in the sidebar, e.g. `vivant.steps`."""
        self.hover(*self.find(f".{field}", across=0.7, copy=COPY_PATH))
        self.key("Return")
        self.key("ctrl+a")
        self.type(words)
        self.key("Return")

    def open_tab(self):
        """Click the tab Vivant in the sidebar."""
        left, top, width, _ = self.ask("sidebar()")
        self.click(left + width + TAB[0], top + TAB[1])

    def screenshot(self, path, box=None):
        """Save the screen, or the (left, top, width, height) of it."""
        time.sleep(1.0)  # the software renderer draws slowly
        crop = ["-crop", "{2}x{3}+{0}+{1}".format(*box), "+repage"] if box else []
        subprocess.run(["import", "-window", "root", *crop, path], env=self._environment(), check=True)

    def processes(self):
        """The ids of the processes that Blender has started, and theirs."""
        found = []
        for place in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):  # it has just ended, or is someone else's
                if str(self.folder).encode() in place.read_bytes():
                    found.append(int(place.parent.name))
        return [process for process in found if process != self.blender.pid]

    def log(self):
        """What Blender has printed."""
        return (self.folder / "blender.log").read_text(errors="replace")

    def _wait(self, condition, timeout, what):
        end = time.monotonic() + timeout
        while not condition():
            assert self.blender.poll() is None, f"Blender has ended: {self.log()[-2000:]}"
            assert time.monotonic() < end, f"{what!r} took longer than {timeout} s: {self.log()[-2000:]}"
            time.sleep(0.05)

    def _xdotool(self, *words):
        subprocess.run(["xdotool", *words], env=self._environment(), check=True)

    def _environment(self):
        return {**os.environ, "DISPLAY": self.display}


@contextmanager
def blender(folder, **environment):
    """A window with the staged extension enabled; both processes are gone afterwards."""
    build_addon.stage(folder / "scripts" / "addons")
    for name in ("config", "data"):
        (folder / name).mkdir()
    with _screen() as display:
        variables = {
            **os.environ,
            "DISPLAY": display,
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "PYTHONPATH": os.pathsep.join(_packages()),
            "BLENDER_USER_RESOURCES": str(folder),
            "BLENDER_USER_CONFIG": str(folder / "config"),
            "BLENDER_USER_SCRIPTS": str(folder / "scripts"),
            "BLENDER_USER_DATAFILES": str(folder / "data"),
            "VIVANT_DATA": str(folder / "vivant"),
            "VIVANT_GUI_FOLDER": str(folder),
            "VIVANT_GUI_HEIGHT": str(SIZE[1]),
            **environment,
        }
        inside = Path(__file__).with_name("gui_inside.py")
        command = ["blender", "--factory-startup", "--window-geometry", "0", "0", *map(str, SIZE), "--python", inside]
        with (folder / "blender.log").open("wb") as log:
            process = subprocess.Popen(command, env=variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            gui = Gui(folder, display, process)
            gui.until("bpy.context.window_manager.windows[0].screen is not None", 120)
            time.sleep(1.0)
            yield gui
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def _screen():
    """An X display that nobody else uses; the server chooses its number."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "{}x{}x24".format(*SIZE), "+extension", "GLX"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            yield f":{pipe.readline().strip()}"
    finally:
        server.terminate()
        server.wait(20)


def _packages():
    """Where numpy and pyzmq lie here: Debian's Blender has the same Python, 3.11, but neither of them."""
    return sorted({str(Path(package.__file__).parents[1]) for package in (numpy, zmq)})
