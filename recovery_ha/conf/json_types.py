"""Options whose values are JSON."""

import abc
import json
from typing import Any

from oslo_config import types


class JSONObject(types.ConfigType, abc.ABC):
    """A JSON object; a subclass says of what.

    :cvar of: completes "JSON object of ..." in the documentation.
    """

    of: str

    def __init__(self) -> None:
        super().__init__(type_name=f"JSON object of {self.of}")

    def __call__(self, value: Any) -> dict[str, Any]:
        """Return what a value says.

        :param value: JSON text, or the object that it stands for.
        :raises ValueError: it is no such object; the text says what is
            wrong.
        """
        if not isinstance(value, dict):
            try:
                value = json.loads(value)
            except ValueError as exc:
                raise ValueError(f"it is not JSON: {exc}") from exc
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 - theirs
        return {name: self.member(name, item) for name, item in value.items()}

    @abc.abstractmethod
    def member(self, name: str, value: Any) -> Any:
        """Return one of its values, as it is to be used.

        :raises ValueError: it, or its name, is none.
        """

    def __repr__(self) -> str:
        return type(self).__name__

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def _formatter(self, value: Any) -> str:
        return json.dumps(value)
