"""Twilio's refusals: code, HTTP status and text (https://www.twilio.com/docs/api/errors)."""

from typing import Any

TEXTS = {
    10004: (429, "Call concurrency limit exceeded"),
    20001: (400, "Unknown parameters"),
    20003: (401, "Authenticate"),
    20004: (405, "Method not allowed"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    21201: (400, "No 'To' number is specified"),
    21205: (400, "Url parameter is required."),
    21210: (400, "The source phone number provided is not yet verified for your account."),
    21211: (400, "The phone number you are attempting to call is not valid."),
    21212: (400, "The source phone number provided is not a valid phone number."),
    21213: (400, "The caller phone number is required."),
    21215: (400, "Account not authorized to call. Perhaps you need to enable some international permissions."),
    21220: (400, "Call is not in-progress. Cannot redirect."),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21606: (400, "The 'From' phone number provided is not a valid message-capable Twilio phone number."),
    21609: (400, "Invalid 'StatusCallback' URL"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21626: (400, "Invalid StatusCallbackEvent value"),
    32018: (400, "The Twiml parameter is longer than 4000 characters."),
}  # fmt: skip


class Refusal(Exception):  # noqa: N818 - Twilio's word for it is an error, ours says what it is: nothing was done
    """A request that the carrier does not carry out, with the answer it gets."""

    def __init__(self, code: int, detail: str | None = None) -> None:
        status, text = TEXTS.get(code, (400, f"Error {code}"))
        super().__init__(detail or text)
        self.code = code
        self.status = status
        self.message = detail or text

    def body(self) -> dict[str, Any]:
        """The JSON that Twilio answers with."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
