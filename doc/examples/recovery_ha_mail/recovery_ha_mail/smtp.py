"""Handing one mail over to a mail server, within a deadline.

Nothing in this module knows of recovery_ha: what a task does is best written,
and tested, as a function that could be used anywhere.
"""

import contextlib
import smtplib
import ssl
import time
from email.message import EmailMessage
from typing import Any


class MailNotSent(Exception):
    """The mail server did not take the mail; the text says why."""


class _Hurried(smtplib.SMTP):
    """A conversation with a mail server that has to end in time.

    The ``timeout`` of smtplib is for each single answer, and there are many
    in one conversation; here each gets what the ones before have left.
    """

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        super().__init__(host, port, timeout=seconds)

    def getreply(self) -> tuple[int, bytes]:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("it takes too long")
        if self.sock is not None:
            self.sock.settimeout(left)
        return super().getreply()


def send(options: Any, message: EmailMessage) -> None:
    """Hand a mail over.

    :param options: the values of the group ``[recovery_ha_mail]``.
    :raises MailNotSent: in any case of failure, after the time that the
        options allow at the latest.
    """
    try:
        with contextlib.closing(
            _Hurried(options.smtp_host, options.smtp_port, options.timeout)
        ) as smtp:
            if options.starttls:
                smtp.starttls(context=ssl.create_default_context())
            if options.smtp_user:
                smtp.login(options.smtp_user, options.smtp_password or "")
            smtp.send_message(message)
            # The server has the mail: how they part is of no importance.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                smtp.quit()
    except (OSError, smtplib.SMTPException, ValueError) as exc:
        # Neither the user nor the password is in the text of any of these.
        raise MailNotSent(
            f"{options.smtp_host}:{options.smtp_port}: {exc}"
        ) from exc
