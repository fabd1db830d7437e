"""Alarms and the dashboard of a stage, for the template. What each alarm means is in docs/operations.md.

Alarms only for what says that people are not served, or soon will not be. Describes; measures nothing.
"""

from __future__ import annotations

import json
from typing import Any

from chalicelib.api.handler import OK, REPLAYED
from chalicelib.model.errors import CATALOG
from chalicelib.services.expiry import SweepResult

MINUTE = 60
OURS = "CustomerPool/${AWS::StackName}"
NAMESPACE = {"Fn::Sub": OURS}

API = {"ApiName": {"Ref": "AWS::StackName"}, "Stage": {"Ref": "RestAPI.Stage"}}
TABLE = {"TableName": {"Ref": "Table"}}
WRITES = {"TableName": {"Ref": "Table"}, "Operation": "TransactWriteItems"}  # the service writes in no other way
FAILED_SWEEPS = {"QueueName": {"Fn::GetAtt": ["FailedSweeps", "QueueName"]}}
FAILED_EVENTS = {"QueueName": {"Fn::GetAtt": ["FailedEvents", "QueueName"]}}
TELL_EVENTS = {"FunctionName": {"Ref": "PublishEvents"}}
SUM, MAXIMUM = {"Statistic": "Sum"}, {"Statistic": "Maximum"}


def monitoring() -> dict[str, Any]:
    """Resources, by name."""
    return _alarms() | {"Dashboard": _dashboard()}


def _alarms() -> dict[str, Any]:
    return {
        "ServerErrors": _alarm(
            "The API answers with 5xx.", over=5, minutes=5, of=3, watched=_metric("AWS/ApiGateway", "5XXError", API)
        ),
        "SlowAnswers": _alarm(
            "One answer in a hundred takes longer than three seconds.", over=3_000, minutes=5, of=3,
            watched=_metric("AWS/ApiGateway", "Latency", API), statistic={"ExtendedStatistic": "p99"},
        ),
        "LateSweep": _alarm(
            "Lapsed claims have been waiting for five minutes, or the sweep does not run.", over=300, minutes=1, of=5,
            watched=_metric(NAMESPACE, "lag_s", {"function": "sweep"}), statistic=MAXIMUM, missing="breaching",
        ),
        "SweepFailed": _alarm(
            "A run of the sweep failed; its event is in the queue.", over=0, minutes=1, of=1,
            watched=_metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", FAILED_SWEEPS), statistic=MAXIMUM,
        ),
        "MalformedRecords": _alarm(
            "The sweep met a malformed record and could not return its claim.", over=0, minutes=5, of=1,
            watched=_metric(NAMESPACE, "failed", {"function": "sweep"}), statistic=MAXIMUM,
        ),
        "LateEvents": _alarm(
            "Events have been waiting in the stream for five minutes.", over=300_000, minutes=1, of=5,
            watched=_metric("AWS/Lambda", "IteratorAge", TELL_EVENTS), statistic=MAXIMUM,
        ),
        "EventErrors": _alarm(
            "The function that tells events ends with errors.", over=0, minutes=5, of=3,
            watched=_metric("AWS/Lambda", "Errors", TELL_EVENTS),
        ),
        "EventsFailed": _alarm(
            "Events were given up; where they are in the stream is in the queue.", over=0, minutes=1, of=1,
            watched=_metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", FAILED_EVENTS), statistic=MAXIMUM,
        ),
        "ThrottledWrites": _alarm(
            "The table or one of its indexes turns writes away.", over=0, minutes=5, of=2,
            watched=_metric("AWS/DynamoDB", "ThrottledRequests", WRITES),
        ),
        "Conflicts": _alarm(
            "Many transactions meet each other; they are tried again, and take longer.", over=500, minutes=5, of=3,
            watched=_metric("AWS/DynamoDB", "TransactionConflict", TABLE),
        ),
    }  # fmt: skip


def _alarm(
    meaning: str,
    *,
    over: int,
    minutes: int,
    of: int,
    watched: dict[str, Any],
    statistic: dict[str, str] = SUM,
    missing: str = "notBreaching",
) -> dict[str, Any]:
    """Goes off when the metric has been `over` that in each of the last `of` periods of `minutes`."""
    told = {"Fn::If": ["AlarmsAreTold", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    properties = {
        "AlarmDescription": f"{meaning} See docs/operations.md.",
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": over,
        "Period": minutes * MINUTE,
        "EvaluationPeriods": of,
        "TreatMissingData": missing,
        "AlarmActions": told,
        "OKActions": told,
        **statistic,
        **watched,
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def _metric(namespace: Any, name: str, dimensions: dict[str, Any] | None = None) -> dict[str, Any]:
    chosen = [{"Name": dimension, "Value": value} for dimension, value in (dimensions or {}).items()]
    return {"Namespace": namespace, "MetricName": name} | ({"Dimensions": chosen} if chosen else {})


# The dashboard. Its body is text to CloudFormation, which fills in the names in braces.

API_TEXT = ["ApiName", "${AWS::StackName}", "Stage", "${RestAPI.Stage}"]
TABLE_TEXT = ["TableName", "${Table}"]
FUNCTIONS_TEXT = ("${APIHandler}", "${Authorizer}", "${SweepExpired}", "${PublishEvents}")


def _dashboard() -> dict[str, Any]:
    graphs = [*_about_requests(), *_about_functions(), *_about_the_table()]
    widgets = [
        graph | {"x": 12 * (number % 2), "y": 6 * (number // 2), "width": 12, "height": 6}
        for number, graph in enumerate(graphs)
    ]
    body = {"Fn::Sub": json.dumps({"widgets": widgets}, sort_keys=True)}
    return {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {"DashboardName": {"Ref": "AWS::StackName"}, "DashboardBody": body},
    }


def _about_requests() -> list[dict[str, Any]]:
    counts = [["AWS/ApiGateway", name, *API_TEXT] for name in ("Count", "4XXError", "5XXError")]
    latencies = [["AWS/ApiGateway", "Latency", *API_TEXT, {"stat": share}] for share in ("p50", "p99")]
    return [
        _graph("Requests and refusals", counts, "Sum"),
        _graph("Latency, p50 and p99 (ms)", latencies, "p99"),
        _graph("What was asked for, by outcome", _ours("api", OK, REPLAYED, *codes()), "Sum"),
    ]


def _about_functions() -> list[dict[str, Any]]:
    failures = [
        ["AWS/Lambda", name, "FunctionName", function]
        for function in FUNCTIONS_TEXT
        for name in ("Errors", "Throttles")
    ]
    waiting = [["AWS/Lambda", "IteratorAge", "FunctionName", "${PublishEvents}"]]
    return [
        _graph("Age of the oldest lapsed claim (s)", _ours("sweep", "lag_s"), "Maximum"),
        _graph("The sweep", _ours("sweep", *SweepResult.COUNTS), "Sum"),
        _graph("Events", _ours("events", "published", "rejected", "malformed"), "Sum"),
        _graph("Functions: errors and throttles", failures, "Sum"),
        _graph("Age of the oldest event not yet told (ms)", waiting, "Maximum"),
    ]


def _about_the_table() -> list[dict[str, Any]]:
    conflicts = ["AWS/DynamoDB", "TransactionConflict", *TABLE_TEXT]
    throttled = ["AWS/DynamoDB", "ThrottledRequests", *TABLE_TEXT, "Operation", "TransactWriteItems"]
    return [
        _graph("Write units", [["AWS/DynamoDB", "ConsumedWriteCapacityUnits", *TABLE_TEXT]], "Sum"),
        _graph("Conflicts and throttled writes", [conflicts, throttled], "Sum"),
    ]


def _ours(function: str, *names: str) -> list[list[str]]:
    """What a function of the service counts of itself."""
    return [[OURS, name, "function", function] for name in names]


def codes() -> list[str]:
    return sorted({meaning.code or reason for reason, meaning in CATALOG.items()})


def _graph(title: str, metrics: list[Any], statistic: str) -> dict[str, Any]:
    properties = {
        "title": title, "metrics": metrics, "stat": statistic, "period": MINUTE, "region": "${AWS::Region}",
        "view": "timeSeries",
    }  # fmt: skip
    return {"type": "metric", "properties": properties}
