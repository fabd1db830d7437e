"""What CloudWatch would report: the alarms and metric filters of the template, evaluated on the lines of a drill.

A drill is one period: each metric has the sum, or the maximum, of its values in the drill. A metric without values is
not evaluated.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypeAlias

import yaml

from tests.support.pages import anchors, quoted, section
from tools.deploy.package import Package

RUNBOOK = "docs/operations.md"
TERM = re.compile(r'\$\.([\w.]+) (NOT EXISTS|!= "([^"]*)"|= "([^"]*)")')
Line: TypeAlias = dict[str, Any]
Metric: TypeAlias = tuple[str, str]  # the name, and what it is about: a resource, a function of our own, or ""


class CloudWatch:
    """The lines of the log groups, and the metrics that services of AWS publish themselves."""

    def __init__(self, packaged: Package) -> None:
        self._resources = yaml.safe_load(packaged.template.read_text())["Resources"]
        self.lines: dict[str, list[Line]] = defaultdict(list)
        self._metrics: dict[Metric, list[float]] = defaultdict(list)

    def log(self, group: str, lines: Iterable[str]) -> None:
        """Add lines of a log group. Lambda writes each as JSON."""
        self.lines[group] += [json.loads(line) for line in lines if line.startswith("{")]

    def measure(self, name: str, about: str, value: float) -> None:
        self._metrics[name, about].append(value)

    def messages(self) -> list[str]:
        """Return what the lines of all functions report, with the reason of a rejected token."""
        groups = [each for name, each in self.lines.items() if name != "AccessLogs"]
        found = [(line.get("message", ""), line.get("reason", "")) for each in groups for line in each]
        return [" ".join(filter(None, map(str, words))) for words in found]

    def firing(self) -> set[str]:
        """Return the names of the alarms that would be in the state ALARM."""
        values = self._values()
        alarms = {name: each["Properties"] for name, each in self._of_type("AWS::CloudWatch::Alarm")}
        return {name for name, alarm in alarms.items() if _fires(alarm, values)}

    def _values(self) -> dict[Metric, list[float]]:
        values = defaultdict(list, {metric: [*each] for metric, each in self._metrics.items()})
        for _, each in self._of_type("AWS::Logs::MetricFilter"):
            filtered = each["Properties"]
            counted = [line for line in self.lines[filtered["LogGroupName"]["Ref"]] if _matches(filtered, line)]
            values[filtered["MetricTransformations"][0]["MetricName"], ""] += [1.0] * len(counted)
        for line in (line for each in self.lines.values() for line in each if "_aws" in line):
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                values[metric["Name"], line["function"]].append(line[metric["Name"]])
        return values

    def _of_type(self, name: str) -> list[tuple[str, Any]]:
        return [(key, each) for key, each in self._resources.items() if each["Type"] == name]


def _matches(filtered: Any, line: Line) -> bool:
    """Return whether a line has the pattern of a metric filter: comparisons, `&&`, `||` and parentheses."""
    terms = TERM.sub(lambda term: str(_holds(line, term)), filtered["FilterPattern"].strip("{} \n"))
    return bool(eval(terms.replace("&&", " and ").replace("||", " or "), {"__builtins__": {}}))


def _holds(line: Line, term: re.Match[str]) -> bool:
    found: Any = line
    for name in term[1].split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if term[2] == "NOT EXISTS":
        return found is None
    return bool(found != term[3] if term[2].startswith("!") else found == term[4])


def _fires(alarm: dict[str, Any], values: dict[Metric, list[float]]) -> bool:
    if "Metrics" in alarm:  # the rate of errors, with a floor of requests
        errors, requests = (sum(values[name, "RestAPI"]) for name in ("5XXError", "Count"))
        return requests >= 20 and 100 * errors / requests > alarm["Threshold"]
    found = values[alarm["MetricName"], _about(alarm.get("Dimensions"))]
    if not found:
        return False
    value = sum(found) if alarm.get("Statistic") == "Sum" else max(found)
    return bool(value > alarm["Threshold"])


def _about(dimensions: Any) -> str:
    """Return the resource, or the function of our own, that the first dimension names."""
    match dimensions:
        case [{"Value": {"Ref": str(name)}}, *_]:
            return "RestAPI" if name == "AWS::StackName" else name
        case [{"Value": {"Fn::GetAtt": [str(name), *_]}}, *_]:
            return name
        case [{"Value": str(name)}, *_]:
            return name
    return ""


def assert_found(cloud: CloudWatch, *, alarms: set[str], line: str, see: str) -> None:
    """Require that exactly these alarms fire, that the log has the line, and that the runbook leads to the cause.

    The reader comes from the section of an alarm, or without an alarm from that about the log. `see` is the section
    with the cause: one of these, or one that they link to. It quotes the line.
    """
    assert cloud.firing() == alarms
    assert any(line in message for message in cloud.messages()), cloud.messages()[-20:]
    first = {alarm.lower() for alarm in alarms} or {"finding-a-request"}
    assert {*first, see} <= anchors(RUNBOOK)
    assert see in first or any(f"(#{see})" in section(RUNBOOK, each) for each in first), f"no link to {see}"
    assert any(line in section(RUNBOOK, each) for each in {*first, see}), f"the runbook does not explain: {line}"
    listed = [row for row in section(RUNBOOK, "drills").splitlines() if f"(#{see})" in row]
    assert alarms in [set(quoted(row)) for row in listed], "the table of drills differs"
