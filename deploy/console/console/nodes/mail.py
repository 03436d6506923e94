"""An SMTP sink that keeps mails as Maildir, as a process of its own: ``python -m console.nodes.mail PORT FOLDER``."""

from __future__ import annotations

import mailbox
import signal
import sys
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import Envelope, Session

from chassis.ports import free_port, listens
from console.nodes.processes import Process

START_SECONDS = 20


class MailSink:
    """One sink.

    Start it from a thread that lives as long as the sink is to live (see `Process`).
    """

    def __init__(self, folder: Path) -> None:
        """Describe the sink; mails go to ``<folder>/maildir``."""
        self.folder = folder.absolute()
        self.port = free_port()
        self._process: Process | None = None

    @property
    def uri(self) -> str:
        """Address for the notify service."""
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the sink and wait until it serves.

        Raises:
            NotReady: It did not come up; the text names its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "console.nodes.mail", str(self.port), str(self.folder / "maildir")]
        self._process = Process("mail", command, folder=self.folder)
        self._process.start()
        self._process.wait_ready(self._serves, seconds=START_SECONDS)

    def stop(self) -> None:
        """Stop the sink."""
        if self._process:
            self._process.stop()

    def mails(self) -> list[mailbox.MaildirMessage]:
        """Every mail that has come."""
        folder = self.folder / "maildir"
        return list(mailbox.Maildir(folder, create=False)) if folder.exists() else []

    def _serves(self) -> bool:
        return listens(self.port)


class _Keeper(Mailbox):
    """aiosmtpd's keeper of mails, without the headers that it adds about the connection."""

    def prepare_message(self, session: Session, envelope: Envelope) -> Message:  # noqa: ARG002 - aiosmtpd's signature
        """The mail as it was sent."""
        return message_from_bytes(bytes(envelope.original_content or b""), mailbox.MaildirMessage)


def main() -> None:
    """Serve until SIGTERM."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    # Blocked before the controller's thread is there, so that neither ends the process in its default way: sigwait
    # takes them, and the controller is stopped in good order.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    controller = Controller(_Keeper(folder), hostname="127.0.0.1", port=port)
    controller.start()
    signal.sigwait(ends)
    controller.stop()


if __name__ == "__main__":
    main()
