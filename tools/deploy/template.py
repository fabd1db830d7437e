"""What a stage consists of beside its code: the part of the CloudFormation template that chalice does not know.

`chalice package` merges it into its own: what stands here under a resource of chalice's is added to that resource. The
table is `schema.SCHEMA`, the one that local runs use too. Describes; talks to no account.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from chalicelib.dynamodb.schema import SCHEMA
from tools.compression import MINIMUM_BYTES
from tools.deploy.monitoring import NAMESPACE, monitoring
from tools.deploy.stages import Stage
from tools.local.gateway_answers import gateway_responses


@dataclass(frozen=True)
class Function:
    """A function by chalice's name for its resource, the last part of its log's name, and the settings that it reads.

    A new one is declared in app.py, gets a policy and a size in `.chalice/`, and a row in `FUNCTIONS`.
    """

    resource: str
    log: str
    settings: dict[str, Any]


METRICS = {"METRICS": NAMESPACE}
TABLE_SETTINGS = METRICS | {"TABLE_NAME": {"Ref": "Table"}}
TOKEN_SETTINGS = {
    "JWKS": {"Ref": "Jwks"},
    "JWT_ISSUER": {"Ref": "JwtIssuer"},
    "JWT_AUDIENCE": {"Ref": "JwtAudience"},
    "JWT_CLIENTS": {"Ref": "JwtClients"},
}
SIGN_IN_SETTINGS = {
    "SIGN_IN_ISSUER": {"Ref": "JwtIssuer"},
    "SIGN_IN_CLIENT": {"Ref": "SignInClient"},
    "SIGN_IN_SCOPE": {"Ref": "SignInScope"},
    "SIGN_IN_TOKEN": {"Ref": "SignInToken"},
    "SIGN_IN_HOSTS": {"Ref": "SignInHosts"},
}

FUNCTIONS = (
    Function("APIHandler", "api", TABLE_SETTINGS | SIGN_IN_SETTINGS),
    Function("Authorizer", "authorizer", TOKEN_SETTINGS),
    Function("SweepExpired", "sweep", TABLE_SETTINGS),
    Function("PublishEvents", "events", METRICS | {"EVENT_BUS": {"Ref": "EventBus"}}),
)

PARAMETERS = {
    "Jwks": "Address of the issuer's JSON Web Key Set (https)",
    "JwtIssuer": "What tokens have to say under iss",
    "JwtAudience": "What tokens have to say under aud",
}

OPTIONAL = {
    "JwtClients": ("", "Client ids, apart by spaces, whose tokens are accepted without aud"),
    "AlarmTopic": ("", "ARN of an SNS topic for alarms; may be empty"),
    "SignInClient": ("", "The console's client at the issuer; without one, tokens are pasted"),
    "SignInScope": ("openid", "What the console asks the issuer for"),
    "SignInToken": ("id_token", "Which token the console shows to the service: id_token or access_token"),
    "SignInHosts": ("", "Origins beside the issuer's that its sign-in has to be able to ask, apart by spaces"),
}

KEPT = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
EVENTS_GIVEN_UP_SECONDS = 12 * 60 * 60  # half of what a stream keeps
SWEEP_EVENT_SECONDS = 120  # an event that waited longer has been overtaken by the next ones


def merged(stage: Stage) -> dict[str, Any]:
    """The template for `chalice package --merge-template`."""
    resources = {"Table": _table(), "EventBus": _event_bus(), "RestAPI": _api(stage)}
    resources |= {"FailedSweeps": _queue(), "FailedEvents": _queue()}
    for function in FUNCTIONS:
        resources |= _function(function, stage)
    resources["SweepExpired"]["Properties"] |= {
        "DeadLetterQueue": {"Type": "SQS", "TargetArn": {"Fn::GetAtt": ["FailedSweeps", "Arn"]}},
        # The next run does whatever this one could not, so there is nothing to repeat.
        "EventInvokeConfig": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": SWEEP_EVENT_SECONDS},
    }
    resources["PublishEvents"]["Properties"]["Events"] = {"Stream": _stream()}
    return {
        "Description": f"customer-pool, stage {stage.name}",
        "Parameters": _parameters(),
        "Conditions": {"AlarmsAreTold": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopic"}, ""]}]}},
        "Resources": resources | monitoring(),
        "Outputs": {"TableName": {"Value": {"Ref": "Table"}}, "EventBusName": {"Value": {"Ref": "EventBus"}}},
    }


def _parameters() -> dict[str, Any]:
    needed = {name: {"Type": "String", "MinLength": 1, "Description": says} for name, says in PARAMETERS.items()}
    return needed | {
        name: {"Type": "String", "Default": usual, "Description": says} for name, (usual, says) in OPTIONAL.items()
    }


def _table() -> dict[str, Any]:
    """It has no name of its own: a stack that is made anew must not clash with the table that the old one left."""
    kind = SCHEMA["StreamSpecification"]["StreamViewType"]  # that it is enabled is not CloudFormation's to say
    properties = SCHEMA | {
        "StreamSpecification": {"StreamViewType": kind},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
    }
    return {"Type": "AWS::DynamoDB::Table", **KEPT, "Properties": properties}


def _event_bus() -> dict[str, Any]:
    """One for each stage, so that nobody who listens to one hears another."""
    return {
        "Type": "AWS::Events::EventBus",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {"Name": {"Ref": "AWS::StackName"}},
    }


def _stream() -> dict[str, Any]:
    """What wakes the function that tells events: writes of customers, in the order of each customer."""
    customers = {"dynamodb": {"NewImage": {"tail": {"S": [{"exists": True}]}}}}
    properties = {
        "Stream": {"Fn::GetAtt": ["Table", "StreamArn"]},
        "StartingPosition": "TRIM_HORIZON",  # the table's first events are told too
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 1,
        "FilterCriteria": {"Filters": [{"Pattern": json.dumps(customers)}]},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        # Tried again until then. What is given up stays in the stream for as long again.
        "MaximumRecordAgeInSeconds": EVENTS_GIVEN_UP_SECONDS,
        "DestinationConfig": {
            "OnFailure": {"Type": "SQS", "Destination": {"Fn::GetAtt": ["FailedEvents", "Arn"]}},
        },
    }
    return {"Type": "DynamoDB", "Properties": properties}


def _queue() -> dict[str, Any]:
    """For what failed, until somebody looks."""
    two_weeks = 14 * 24 * 60 * 60
    properties = {"MessageRetentionPeriod": two_weeks, "SqsManagedSseEnabled": True}
    return {
        "Type": "AWS::SQS::Queue",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": properties,
    }


def _function(function: Function, stage: Stage) -> dict[str, Any]:
    logs = f"{function.resource}Logs"
    log_group = {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "LogGroupName": {"Fn::Sub": "/${AWS::StackName}/" + function.log},
            "RetentionInDays": stage.log_days,
        },
    }
    properties = {
        "Environment": {"Variables": function.settings},
        # Lambda itself makes JSON of each record, with what it was given as `extra` and the request's id.
        "LoggingConfig": {
            "LogGroup": {"Ref": logs},
            "LogFormat": "JSON",
            "ApplicationLogLevel": "INFO",
        },
    }
    return {function.resource: {"Properties": properties}, logs: log_group}


def _api(stage: Stage) -> dict[str, Any]:
    from app import cors  # reads settings when it is imported, which only who makes a template needs

    limits = {"ThrottlingRateLimit": stage.rate, "ThrottlingBurstLimit": stage.burst}
    properties = {
        # Without it the translator adds a second stage, named "Stage", that nobody asked for.
        "OpenApiVersion": "2.0",
        "MinimumCompressionSize": MINIMUM_BYTES,
        "MethodSettings": [{"ResourcePath": "/*", "HttpMethod": "*", "MetricsEnabled": False, **limits}],
        "DefinitionBody": {
            "info": {"title": {"Ref": "AWS::StackName"}},
            "x-amazon-apigateway-gateway-responses": gateway_responses(cors),
        },
    }
    return {"Properties": properties}
