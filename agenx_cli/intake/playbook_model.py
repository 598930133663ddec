"""The form of ``playbook.toml``. pydantic reads it and describes it (``agenx playbook schema``)."""

import re
from datetime import time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from agenx_cli.core.playbook import AnswerField, Limits, MeetingRules, Playbook, ToolName, VoiceDetection

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_KEY = re.compile(rf"({'|'.join(DAYS)})(?:_({'|'.join(DAYS)}))?")
PERIOD = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
LOCALES = {"en": "en-US", "pt": "pt-PT", "ca": "ca-ES"}
APOLOGIES = {
    "es": "Disculpe, tenemos un problema técnico. Le pedimos perdón por la molestia. Adiós.",
    "en": "I am sorry, we have a technical problem. Please excuse the disturbance. Goodbye.",
}


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it must be one line without control characters")
    return text


def _known_zone(key: str) -> str:
    try:
        ZoneInfo(key)
    except (OSError, ValueError, KeyError) as exc:
        raise ValueError(f"'{key}' is no time zone; they look like Europe/Madrid") from exc
    return key


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_one_line)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]
Periods = Annotated[
    list[str],
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Table(BaseModel):
    """Strict: no key that is not described, no number in quotes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AnswerTable(Table):
    """A thing worth writing down when the person says it."""

    name: Identifier
    description: Line
    kind: Literal["text", "number", "yes_no", "choice"] = "text"
    choices: list[Line] = Field(default=[], max_length=20)

    @model_validator(mode="after")
    def _choices_for_a_choice(self) -> "AnswerTable":
        if (self.kind == "choice") != (len(self.choices) >= 2):
            raise ValueError('kind = "choice" and at least two choices go together')
        return self


class DetectionTable(Table):
    """When the model's voice detector says that a turn began or ended (milliseconds)."""

    kind: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float = Field(default=0.6, ge=0, le=1)
    prefix_ms: int = Field(default=300, ge=0, le=2_000)
    silence_ms: int = Field(default=500, ge=200, le=2_000)
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"


class LimitsTable(Table):
    """Seconds."""

    max_call: int = Field(default=600, ge=30, le=3_600, description="The longest a call may last.")
    ring: int = Field(default=25, ge=15, le=60, description="How long it rings before we give up.")
    idle_first: float = Field(default=5.0, ge=1, le=30, description="Silence until we ask whether they are there.")
    idle_again: float = Field(default=4.0, ge=1, le=30, description="Silence after that until we say goodbye.")


class MeetingsTable(Table):
    """What may be offered; hours are local to ``time_zone``."""

    minutes: int = Field(default=30, ge=5, le=480, description="How long a meeting lasts.")
    notice_minutes: int = Field(default=120, ge=0, le=20_160, description="How soon the first one may start.")
    horizon_days: int = Field(default=14, ge=1, le=365, description="How far ahead may be booked.")
    step_minutes: int = Field(default=30, ge=5, le=480, description="The distance between two starts.")
    host: Line = Field(default="default", description="Whose meetings these are; two of one host never overlap.")
    title: str = Field(default="", max_length=200, description="Title of the invitation.")
    hours: dict[str, Periods] = Field(
        default={}, description='Working hours: mon_fri = "09:00-14:00", sat = ["10:00-12:00", "16:00-18:00"].'
    )

    @field_validator("hours")
    @classmethod
    def _readable(cls, hours: dict[str, list[str]]) -> dict[str, list[str]]:
        for key, periods in hours.items():
            if DAY_KEY.fullmatch(key) is None:
                raise ValueError(f"'{key}' is no day; days are mon, tue, wed, thu, fri, sat, sun, or a range: mon_fri")
            for period in periods:
                if PERIOD.fullmatch(period) is None or _opens(period) >= _closes(period):
                    raise ValueError(f"'{period}' of {key} is no period; it looks like 09:00-14:00")
        return hours

    def rules(self) -> MeetingRules:
        """As the core has them."""
        hours = tuple(
            (day, _opens(period), _closes(period))
            for key, periods in self.hours.items()
            for day in _days(key)
            for period in periods
        )
        fields = self.model_dump(exclude={"hours"})
        return MeetingRules(**fields, hours=tuple(sorted(set(hours))))


class PlaybookFile(Table):
    """``playbook.toml``: what the assistant is, says and may do. The conversation itself is in instructions.md."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")] = Field(
        description="Short name: small letters, digits and hyphens."
    )
    company: Line = Field(description="The company that calls; {{ company }} in templates.")
    assistant: Line = Field(description="The assistant's name; {{ assistant }} in templates.")
    purpose: Line = Field(description="Why it calls, in the playbook's language; {{ purpose }} in templates.")
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] = Field(
        description="ISO 639-1, for instance es."
    )
    locale: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}-[A-Z]{2}$")] | None = Field(
        default=None, description="For instance es-ES."
    )
    time_zone: Annotated[str, AfterValidator(_known_zone)] | None = Field(
        default=None, description="IANA name; needed when meetings are offered."
    )
    region: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = Field(
        default=None, description="Country by which numbers without + are read."
    )
    voice: Line = Field(default="marin", description="A voice of the model.")
    model: Line | None = Field(default=None, description="Instead of the setting's model.")
    opening: Text = Field(description="The first words: say that an AI speaks, for whom, why, and how to opt out.")
    greeting: Text | None = Field(default=None, description="The opening when somebody calls us.")
    apology: Text | None = Field(default=None, description="What is said when the call cannot go on.")
    tools: list[ToolName] = Field(default=["opt_out", "end_call"], description="What the assistant may do.")
    keywords: list[Line] = Field(default=[], max_length=50, description="Words that transcription should know.")
    variables: dict[Identifier, Annotated[str, StringConstraints(max_length=300)]] = Field(
        default={}, description="Name = default, for templates; values come from leads or --var."
    )
    required: list[Identifier] = Field(default=[], description="Variables that must be given.")
    answers: list[AnswerTable] = Field(default=[], max_length=30)
    detection: DetectionTable = DetectionTable()
    limits: LimitsTable = LimitsTable()
    meetings: MeetingsTable = MeetingsTable()

    @field_validator("tools")
    @classmethod
    def _each_once(cls, tools: list[ToolName]) -> list[ToolName]:
        if len(set(tools)) != len(tools):
            raise ValueError("a tool is named twice")
        return tools

    @field_validator("answers")
    @classmethod
    def _names_once(cls, answers: list[AnswerTable]) -> list[AnswerTable]:
        if len({answer.name for answer in answers}) != len(answers):
            raise ValueError("two answers have the same name")
        return answers

    @model_validator(mode="after")
    def _required_are_declared(self) -> "PlaybookFile":
        for name in self.required:
            if name not in self.variables:
                raise ValueError(f"'{name}' is required, but not one of the [variables]")
        return self

    def playbook(self, instructions: str) -> Playbook:
        """As the core has it."""
        return Playbook(
            name=self.name,
            company=self.company,
            assistant=self.assistant,
            purpose=self.purpose,
            language=self.language,
            locale=self.locale or LOCALES.get(self.language, f"{self.language}-{self.language.upper()}"),
            time_zone=self.time_zone,
            voice=self.voice,
            model=self.model,
            opening=self.opening,
            apology=self.apology or APOLOGIES.get(self.language, APOLOGIES["en"]),
            instructions=instructions,
            tools=tuple(self.tools),
            variables=tuple((k, None if k in self.required else v) for k, v in self.variables.items()),
            answers=tuple(
                AnswerField(answer.name, answer.description, answer.kind, tuple(answer.choices))
                for answer in self.answers
            ),
            detection=VoiceDetection(**self.detection.model_dump()),
            limits=Limits(**self.limits.model_dump()),
            meetings=self.meetings.rules(),
            keywords=tuple(self.keywords),
            region=self.region,
            greeting=self.greeting,
        )


def _days(key: str) -> tuple[int, ...]:
    """Weekdays of ``mon`` or ``fri_mon`` (ranges may pass the end of the week)."""
    first, _, last = key.partition("_")
    start, end = DAYS.index(first), DAYS.index(last or first)
    return tuple(day % 7 for day in range(start, end + (1 if end >= start else 8)))


def _opens(period: str) -> time:
    return time.fromisoformat(period[:5])


def _closes(period: str) -> time:
    return time.fromisoformat(period[6:])
