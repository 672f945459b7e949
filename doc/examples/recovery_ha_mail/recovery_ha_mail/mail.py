"""Two tasks that tell people: a recovery begins, a recovery has ended.

Both may be put into the flows of hosts, instances and processes. What they
need is what they name as arguments of ``execute``; an argument with a default
is one that they can do without.
"""

from email.message import EmailMessage

from recovery_ha.plugin import RecoveryTask
from recovery_ha_mail.smtp import MailNotSent, send


class MailBeforeRecoveryTask(RecoveryTask):
    """Tell the recipients that a recovery begins.

    Instances are more important than mails: when the mail cannot be sent,
    the task says so and the recovery goes on.
    """

    #: Completes the sentence "Failed to ..." that operators would read.
    what = "send the mail before the recovery"

    #: What ``execute`` returns can be an argument, of this name, of any
    #: later task.
    default_provides = "mail_id"

    def execute(
        self,
        notification_uuid: str,
        host_name: str,
        instance_uuid: str | None = None,
        process_name: str | None = None,
    ) -> str:
        """Send it.

        ``notification_uuid`` and ``host_name`` are there in every flow, the
        others in those of instances and of processes.

        :returns: the mail's Message-ID.
        """
        failed = _failed(host_name, instance_uuid, process_name)
        # A task may run twice: when its engine dies before the end of the
        # task is written down, another engine begins it anew. It has to be
        # harmless. A mail cannot be looked for before it is sent, but two
        # with the same Message-ID are shown as one.
        mail_id = f"<{notification_uuid}.before@recovery-ha>"
        message = _message(
            mail_id,
            f"Recovery of {failed} begins",
            f"The failure of {failed} was reported (notification"
            f" {notification_uuid}); its recovery begins.",
        )
        _send(self, message)
        return mail_id


class MailAfterRecoveryTask(RecoveryTask):
    """Tell the recipients that a recovery has come to this task.

    Put it at the end of a flow. A flow ends at the first task that fails, so
    this is the mail for recoveries that have succeeded.
    """

    what = "send the mail after the recovery"

    def execute(
        self,
        notification_uuid: str,
        host_name: str,
        instance_uuid: str | None = None,
        process_name: str | None = None,
        mail_id: str | None = None,
        evacuated: list[str] | None = None,
    ) -> None:
        """Send it, as an answer to the mail before if there was one.

        :param mail_id: from :class:`MailBeforeRecoveryTask`.
        :param evacuated: the uuids of the evacuated instances, from the
            built-in tasks of the flows of hosts.
        """
        failed = _failed(host_name, instance_uuid, process_name)
        lines = [
            f"The recovery of {failed} is done.",
            f"It was notification {notification_uuid}.",
        ]
        if evacuated is not None:
            lines.append(f"{len(evacuated)} instances were evacuated:")
            lines += evacuated
        message = _message(
            f"<{notification_uuid}.after@recovery-ha>",
            f"Recovery of {failed} is done",
            "\n".join(lines),
        )
        if mail_id is not None:
            message["In-Reply-To"] = mail_id
            message["References"] = mail_id
        _send(self, message)


def _failed(host: str, instance: str | None, process: str | None) -> str:
    """Return in words what has failed."""
    if instance:
        return f"instance {instance} on host {host}"
    if process:
        return f"process {process} on host {host}"
    return f"host {host}"


def _message(mail_id: str, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"] = mail_id
    message["Subject"] = subject
    message.set_content(text)
    return message


def _send(task: RecoveryTask, message: EmailMessage) -> None:
    """Send a mail and report what became of it."""
    options = task.conf.recovery_ha_mail
    message["From"] = options.sender
    message["To"] = ", ".join(options.recipients)
    # Ask before anything that others notice. An engine that was cut off for
    # a while does not own the recovery any more: another one sends the mail.
    if not task.still_mine():
        return
    # What is reported is shown to users, with a time, as the progress of the
    # recovery. The fraction is that of this task.
    try:
        send(options, message)
    except MailNotSent as exc:
        task.progress(0.9, f"The mail was not sent: {exc}")
    else:
        task.progress(0.9, f"Sent: {message['Subject']}")
