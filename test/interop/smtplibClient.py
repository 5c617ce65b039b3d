"""Python's smtplib as a mail client: mails and target come as JSON on standard input, replies go out as JSON."""
import json
import smtplib
import sys


def connect(job):
    source = job.get("clientAddress")
    return smtplib.SMTP(
        "127.0.0.1", job["port"], local_hostname="smtplib.test", timeout=60,
        source_address=(source, 0) if source else None)


def send(session, mail):
    """The reply that decided: the final one, or the first refusal."""
    with open(mail["file"], "rb") as file:
        content = file.read()
    try:
        session.sendmail(mail["from"], [mail["to"]], content, mail_options=mail.get("mailOptions", []))
        return "250 sent"
    except smtplib.SMTPRecipientsRefused as refusal:
        code, text = refusal.recipients[mail["to"]]
    except smtplib.SMTPResponseException as refusal:
        code, text = refusal.smtp_code, refusal.smtp_error
    return f"{code} {text.decode()}"


job = json.load(sys.stdin)
replies, features, session = [], {}, None
for mail in job["mails"]:
    try:
        if session is None:
            session = connect(job)
        replies.append(send(session, mail))
        features = session.esmtp_features
    except OSError as error:
        replies.append(f"{type(error).__name__}: {error}")
        session = None
if session is not None:
    session.quit()
json.dump({"replies": replies, "features": features}, sys.stdout)
