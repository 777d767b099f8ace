"""Parameter Store as AWS answers it, where moto does not: pages of the size that is asked for, who changed a parameter,
and the account's throughput setting. moto's own handlers are wrapped for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ssm.models import Parameter
from moto.ssm.responses import SimpleSystemManagerResponse

_DEFAULT_PAGE, _LARGEST_PAGE = 10, 50


def install(writer: Callable[[], str]) -> None:
    """For the rest of this process. `writer` is the ARN of whoever puts a parameter at that moment."""
    put = SimpleSystemManagerResponse.put_parameter
    described = Parameter.describe_response_object

    def put_parameter(self: Any) -> ActionResult:
        answer: ActionResult = put(self)
        self.ssm_backend._parameters[self._get_param("Name")][-1].modified_by = writer()
        return answer

    def describe_response_object(self: Any, decrypt: bool = False, include_labels: bool = False) -> dict[str, Any]:
        shown: dict[str, Any] = described(self, decrypt, include_labels)
        return {**shown, "LastModifiedUser": getattr(self, "modified_by", "")}

    def describe_parameters(self: Any) -> ActionResult:
        backend = self.ssm_backend
        found = backend.describe_parameters(self._get_param("Filters"), self._get_param("ParameterFilters"))
        size = min(_LARGEST_PAGE, self._get_int_param("MaxResults") or _DEFAULT_PAGE)
        start = int((self._get_param("NextToken") or "0").strip())
        shown = []
        for parameter in found[start : start + size]:
            row = parameter.describe_response_object(False)
            del row["Value"]
            shown.append(row)
        answer: dict[str, Any] = {"Parameters": shown}
        if start + size < len(found):
            answer["NextToken"] = str(start + size)
        return ActionResult(answer)

    def get_service_setting(self: Any) -> ActionResult:
        # Nothing is metered here, as in an account with the higher throughput.
        name = self._get_param("SettingId")
        value = "true" if name.endswith("/high-throughput-enabled") else ""
        return ActionResult({"ServiceSetting": {"SettingId": name, "SettingValue": value, "Status": "Customized"}})

    SimpleSystemManagerResponse.put_parameter = put_parameter
    SimpleSystemManagerResponse.describe_parameters = describe_parameters
    SimpleSystemManagerResponse.get_service_setting = get_service_setting
    Parameter.describe_response_object = describe_response_object
