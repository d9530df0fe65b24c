"""A real Samba server of a test: on loopback, on a port and with folders of its own."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import unittest

from harness import eventually

CONFIG = """[global]
interfaces = 127.0.0.1
bind interfaces only = yes
smb ports = {port}
private dir = {state}
lock directory = {state}
state directory = {state}
cache directory = {state}
pid directory = {state}
ncalrpc dir = {state}/ncalrpc
log file = {state}/log
passdb backend = smbpasswd:{state}/smbpasswd
server role = standalone server
map to guest = Bad User
guest account = {user}
disable netbios = yes
load printers = no
printing = bsd
server smb encrypt = if_required

[fotos]
path = {share}
valid users = {user}
preexec = sh -c 'echo in >> {state}/entered'

[aberto]
path = {share}
guest ok = yes

[oco]
path = {share}/not-there
guest ok = yes
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Samba:
    PASSWORD = "p=ss wörd#1"

    def __init__(self, folder):
        """Skips the test where there is none, or it cannot run."""
        self.smbd = shutil.which("smbd", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
        if not self.smbd or not shutil.which("smbpasswd"):
            raise unittest.SkipTest("there is no Samba server here (tools/install-deps test)")
        self.share = os.path.join(folder, "share")
        self.state = os.path.join(folder, "samba")
        os.makedirs(self.share)
        os.makedirs(self.state)
        self.port, self.user = free_port(), pwd.getpwuid(os.getuid()).pw_name
        self.config = os.path.join(self.state, "smb.conf")
        with open(self.config, "w") as file:
            file.write(CONFIG.format(port=self.port, state=self.state, share=self.share, user=self.user))
        subprocess.run(["smbpasswd", "-c", self.config, "-s", "-a", self.user],
                       input=f"{self.PASSWORD}\n{self.PASSWORD}\n", text=True, check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.process = None
        self.start()

    def start(self):
        with open(os.path.join(self.state, "out"), "ab") as out:
            self.process = subprocess.Popen([self.smbd, "-F", "--no-process-group", "-s", self.config],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            start_new_session=True)
        eventually(self.answers, "the Samba server answers", 30, 0.05)

    def answers(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.state, "out"), errors="replace") as out:
                raise unittest.SkipTest(f"smbd does not run here: {out.read()[-300:]}")
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def entered(self):
        """How often somebody was let in to "fotos"."""
        with open(os.path.join(self.state, "entered")) as file:
            return file.read().count("\n")

    def freeze(self):
        """It takes connections, as the kernel does, and says nothing."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self):
        """Its port refuses from here on."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
